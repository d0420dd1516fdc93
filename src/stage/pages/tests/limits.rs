//! Pages and actions with more commands than fit.

use super::*;

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

#[test]
fn rest_of_a_page_beyond_its_limit_is_requested_in_smaller_pages() {
    let scratch = Scratch::new();
    let mut api = FakeApi::of(10);
    api.too_many = 3;
    let end = scratch.read(&api, 8);
    assert!(end.failure.is_none(), "{:?}", end.failure);
    assert_eq!(scratch.ids(), up_to(10));
    assert_eq!(api.requested(), [(0, 8), (3, 4), (6, 2), (8, 8)]);
}

#[test]
fn command_that_fits_into_no_page_is_skipped_if_others_follow() {
    let scratch = Scratch::new();
    let mut api = FakeApi::of(10);
    api.too_large = Some(4);
    let end = scratch.read(&api, 8);
    assert!(end.failure.is_none(), "{:?}", end.failure);
    // It is missing, and all others are there.
    assert_eq!((end.sent, end.part.len()), (10, 9));
    assert_eq!(scratch.ids(), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    assert_eq!(api.requested()[..4], [(0, 8), (4, 1), (4, 2), (4, 4)][..]);
}

#[test]
fn command_that_fits_into_no_page_ends_a_read_of_unknown_length() {
    let mut api = FakeApi::of(10);
    (api.too_large, api.reports_total) = (Some(0), false);
    let end = Scratch::new().read(&api, 8);
    assert!(matches!(end.failure, Some(FetchError::Api(_))), "{:?}", end.failure);
    assert_eq!(api.requested(), [(0, 1), (0, 2), (0, 4), (0, 8)]);
}
