//! Actions with more commands than a document may have.

use super::*;
use crate::stage::document::DocumentError;

#[test]
fn results_beyond_the_limits_of_a_document_end_the_read() {
    let by_count = DocumentLimits { commands: 20, bytes: u64::MAX };
    let by_size = DocumentLimits { commands: u64::MAX, bytes: 1000 };
    let endless = || FakeApi::of(u64::MAX);
    let uncounted = FakeApi { reports_total: false, ..endless() };
    let generous = FakeApi { is_generous: true, ..endless() };
    for (api, limits) in
        [(endless(), by_count), (uncounted, by_count), (generous, by_count), (endless(), by_size)]
    {
        let scratch = Scratch::new();
        let end = scratch.read_within(&api, 3, limits);
        let text = end.failure.unwrap().to_string();
        assert!(text.starts_with("the results exceed the limit of ") && text.contains(".7.part"));
        let kept = scratch.ids();
        assert_eq!(kept, up_to(kept.len() as u64));
        assert!(kept.len() == 20 || limits.commands > 20 && (5..20).contains(&kept.len()));
        // A later attempt requests at most the pages that it can read at once.
        api.requested();
        assert!(scratch.read_within(&api, 3, limits).failure.is_some());
        assert!(api.requested().len() <= 3 && scratch.ids() == kept);
    }
    // The same commands again and again.
    let (scratch, repeating) = (Scratch::new(), FakeApi { distinct: 2, ..endless() });
    let end = scratch.read_within(&repeating, 3, by_count);
    assert!(matches!(end.failure, Some(FetchError::Document(DocumentError::Full { .. }))));
    assert_eq!((scratch.ids(), repeating.requested().len()), (up_to(2), 7));
    // A document that is just full is complete.
    let (scratch, api) = (Scratch::new(), FakeApi::of(20));
    let end = scratch.read_within(&api, 3, by_count);
    assert!(end.failure.is_none() && scratch.ids() == up_to(20), "{:?}", end.failure);
}

#[test]
fn early_page_holds_no_more_commands_than_requested() {
    let scratch = Scratch::new();
    // The page at 8 arrives before the one at 4, and the API sends thousands of commands for it.
    let api = FakeApi::of(5000).with(4, Quirk::After(8)).with(8, Quirk::Endless);
    let end = scratch.read(&api, 4);
    assert!(end.failure.is_none(), "{:?}", end.failure);
    assert_eq!(*api.cut.lock().unwrap(), [(8, 4)]);
    assert_eq!(scratch.ids(), up_to(5000));
}
