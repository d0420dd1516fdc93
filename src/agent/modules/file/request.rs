//! What was asked: the parameters of the module as they came.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::parameters::{Place, Structure, TypeError};
use super::clean::clean;

#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    /// What it is for; only handed back.
    pub(super) description: String,
    /// Where to look, cleaned.
    pub(super) paths: Vec<String>,
    pub(super) contents: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) sizes: Vec<String>,
    pub(super) modes: Vec<String>,
    pub(super) mtimes: Vec<String>,
    /// MD5 hashes.
    pub(super) md5: Vec<String>,
    /// SHA-1 hashes.
    pub(super) sha1: Vec<String>,
    /// SHA-2 hashes.
    pub(super) sha2: Vec<String>,
    /// SHA-3 hashes.
    pub(super) sha3: Vec<String>,
    pub(super) options: Options,
}

/// How a search is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// How many levels of folders, the path itself being the first; 0 or less for all.
    pub(super) maxdepth: i64,
    /// How many errors are told; 0 for all.
    pub(super) maxerrors: i64,
    /// How many hits are wanted; 0 or less for all.
    pub(super) matchlimit: i64,
    /// Whether a file must pass every filter.
    pub(super) matchall: bool,
    /// Whether every line must match.
    pub(super) macroal: bool,
    /// The filters that are turned round.
    pub(super) mismatch: Vec<String>,
    /// Whether each hit is told with its SHA-256.
    pub(super) returnsha256: bool,
    /// Whether what is packed with gzip is unpacked.
    pub(super) decompress: bool,
    /// Without effect, as in the original; only handed back.
    pub(super) remotefs: bool,
    /// Without effect here; only handed back.
    pub(super) debug: String,
}

/// What the searches of an operation are, by label; `None` for one that is null.
pub(super) type Requests = BTreeMap<String, Option<Request>>;

/// Reads the parameters of the module.
pub(super) fn read(parameters: &Value) -> Result<Requests, TypeError> {
    let whole = Structure::new(parameters, &Place::Whole, "parameters", "file.parameters")?;
    let (searches, place) = whole.field("searches");
    let Some(searches) = place.object(searches, "map[string]*file.Search")? else {
        return Ok(Requests::new());
    };
    let mut requests = Requests::new();
    for (label, search) in searches {
        let request = match search {
            Value::Null => None,
            search => Some(request(search, &place)?),
        };
        requests.insert(label.clone(), request);
    }
    Ok(requests)
}

fn request(search: &Value, place: &Place) -> Result<Request, TypeError> {
    let search = Structure::new(search, place, "Search", "file.Search")?;
    let (options, place) = search.field("options");
    let options = Structure::new(options, &place, "options", "file.options")?;
    Ok(Request {
        description: search.text("description")?,
        paths: search.texts("paths")?.iter().map(|path| clean(path)).collect(),
        contents: search.texts("contents")?,
        names: search.texts("names")?,
        sizes: search.texts("sizes")?,
        modes: search.texts("modes")?,
        mtimes: search.texts("mtimes")?,
        md5: search.texts("md5")?,
        sha1: search.texts("sha1")?,
        sha2: search.texts("sha2")?,
        sha3: search.texts("sha3")?,
        options: Options {
            maxdepth: options.whole("maxdepth")?,
            maxerrors: options.whole("maxerrors")?,
            matchlimit: options.whole("matchlimit")?,
            matchall: options.flag("matchall")?,
            macroal: options.flag("macroal")?,
            mismatch: options.texts("mismatch")?,
            returnsha256: options.flag("returnsha256")?,
            decompress: options.flag("decompress")?,
            remotefs: options.flag("remotefs")?,
            debug: options.text("debug")?,
        },
    })
}
