//! The items of a page of results, limited in size: a client can request any number of them.

use super::Refusal;
use super::response::Item;
use crate::api::COMMAND_BYTES_MAX;

/// Size of the items, in bytes as they are sent, after which no further one is added.
const PAGE_BYTES_MAX: u64 = COMMAND_BYTES_MAX;

/// The first items of a result, at least one if there is any.
#[derive(Debug, Default)]
pub(super) struct PageItems {
    items: Vec<Item>,
    bytes: u64,
}

impl PageItems {
    /// Returns the first of `items`; the others are not computed.
    pub(super) fn of(
        items: impl Iterator<Item = Result<Item, Refusal>>,
    ) -> Result<PageItems, Refusal> {
        let mut page = PageItems::default();
        for item in items {
            page.push(item?);
            if page.is_full() {
                break;
            }
        }
        Ok(page)
    }

    pub(super) fn push(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(item.sent_bytes());
        self.items.push(item);
    }

    /// Returns whether the items have reached the limit.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > PAGE_BYTES_MAX
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn into_items(self) -> Vec<Item> {
        self.items
    }
}
