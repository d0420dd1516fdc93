//! The output of plugins in the log.

use super::NEVER;
use crate::rig::Rig;

#[test]
fn plugin_output_is_one_bounded_log_message_with_a_line_count() {
    let rig = Rig::new();
    rig.plugin("many", "cat > /dev/null; for n in $(seq 500); do echo line $n; done");
    rig.plugin("more", "cat > /dev/null; seq 100000; printf 'the last\\nline'");
    rig.plugin("silent", "cat > /dev/null");
    let plugins = "plugin = many\nplugin = more\nplugin = silent";
    rig.job("job", &format!("{NEVER}\nexpiry = 2s\n{plugins}"));
    let runner = rig.runner();
    let run = rig.trigger("job");
    rig.wait_done(&run);
    let record = |plugin: &str| runner.logged("plugin output", &[("plugin", plugin)]);
    let many = record("many");
    assert_eq!((many.len(), &many[0]["lines"]), (1, &500.into()), "{many:?}");
    let output = many[0]["output"].as_str().unwrap();
    assert!(output.starts_with("line 1\nline 2\n") && output.ends_with("\nline 500"), "{output}");
    let more = record("more");
    assert_eq!((more.len(), &more[0]["lines"]), (1, &100_002.into()), "{more:?}");
    let output = more[0]["output"].as_str().unwrap();
    assert!(output.starts_with('…') && output.ends_with("100000\nthe last\nline"), "{output}");
    assert!(output.len() <= 6 * 1024 + '…'.len_utf8(), "{}", output.len());
    assert!(record("silent").is_empty());
}
