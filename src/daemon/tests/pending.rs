//! Outcomes that the disk refuses at first.
#![expect(clippy::disallowed_methods, reason = "tests break and repair the spool")]

use super::super::testing::Rig;
use super::{ID, rig};
use crate::names::ActionId;
use crate::spool::testing::record;
use crate::spool::{Delivery, DeliveryState, Folder};
use crate::testing::write_private;

use DeliveryState::{Delivered, GivenUp, Owed};

/// Creates a run in `command/returned` whose plugins `a`, `b` and `c` have these states.
fn put_returned(rig: &Rig, states: [DeliveryState; 3]) {
    let mut record = record(ID);
    record.action_id = Some(ActionId(7));
    record.document = Some("results/20261122/7.json".to_owned());
    (record.collected, record.fetched) = (Some(record.slot), Some(record.slot));
    record.summary = Some(crate::action::Summary::default());
    record.plugins = ["a", "b", "c"]
        .iter()
        .zip(states)
        .map(|(name, state)| Delivery { plugin: name.parse().unwrap(), state })
        .collect();
    let results = rig.path("results/20261122");
    crate::testing::make_private(&results);
    write_private(&results.join("7.json"), "{}");
    let text = record.to_bytes().unwrap();
    let path = rig.path(&format!("spool/command/returned/{ID}.json"));
    write_private(&path, std::str::from_utf8(&text).unwrap());
}

/// Restores the scratch folder, in which new files are written.
fn repair(rig: &Rig) {
    let scratch = rig.path("spool/.tmp");
    std::fs::remove_file(&scratch).unwrap();
    std::fs::rename(rig.path("away"), &scratch).unwrap();
}

#[test]
fn pending_deliveries_finish_a_run_with_a_given_up_delivery() {
    for (states, expected) in [
        ([Owed, Owed, GivenUp], [Delivered, Delivered, GivenUp]),
        ([Owed, Owed, Delivered], [Delivered, Delivered, Delivered]),
        ([Owed, Owed, Owed], [Delivered, Delivered, Delivered]),
    ] {
        let mut rig = rig("paused = true");
        put_returned(&rig, states);
        // The first plugin removes the scratch folder, and the others end after that.
        for name in ["a", "b", "c"] {
            let script = format!(
                "echo x >> {name}.count\n\
                 mkdir ../once 2>/dev/null && mv ../spool/.tmp ../away && : > ../spool/.tmp\n\
                 n=0; until test -f ../spool/.tmp -o $n = 500; do sleep 0.01; n=$((n + 1)); done"
            );
            rig.write_plugin(name, &script);
        }
        rig.run_at("2026-11-22T12:02:00Z");
        assert_eq!(rig.record(Folder::Returned, ID).plugins[0].state, Owed, "{states:?}");
        repair(&rig);
        rig.advance(10);
        let record = rig.record(Folder::CommandDone, ID);
        let found: Vec<DeliveryState> = record.plugins.iter().map(|d| d.state).collect();
        assert_eq!(found, expected, "{states:?} {:?}", rig.spool());
        for (name, state) in ["a", "b", "c"].iter().zip(states) {
            let count = std::fs::read_to_string(rig.path(&format!("plugins/{name}.count")));
            assert_eq!(count.is_ok(), state == Owed, "{name}");
        }
    }
}
