//! Reading a folder name by name, so that a folder of a million names takes no more memory than an
//! empty one.

use std::ffi::OsStr;
use std::path::Path;

use super::{Context as _, Disk, DiskError};

impl Disk {
    /// Gives each name in a folder to `each`, in no order.
    ///
    /// # Errors
    /// The folder could not be read to its end; `each` may have got some of the names.
    pub(crate) fn visit(&self, path: &Path, each: &mut dyn FnMut(&OsStr)) -> Result<(), DiskError> {
        self.fs.visit(path, each).context("list", path)
    }
}
