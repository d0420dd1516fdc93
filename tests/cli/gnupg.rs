//! Faults in GnuPG's configuration are reported by every command that uses the key.

use super::super::home::Home;

#[test]
fn every_command_reports_faults_of_gpg_conf() {
    let home = Home::installed();
    home.write("action.json", r#"{"name":"x","target":"status='online'","operations":[]}"#);
    let file = home.path("g/gpg.conf").display().to_string();
    for (option, texts) in [
        ("digest-algo FOO", ["selected digest algorithm is invalid", "correct or remove it"]),
        ("trust-model foo", ["unknown trust model 'foo'", "correct or remove it"]),
        ("local-user nobody", ["with the key \"nobody\" as well", "remove local-user nobody"]),
    ] {
        home.write("g/gpg.conf", &format!("{option}\n"));
        let mut commands = vec![
            vec!["-c", "runner/runner.cfg", "check", "--offline"],
            vec!["action", "--json", "--sign", "action.json"],
        ];
        // A start does not notice this fault: it signs nothing before the first request.
        if option != "local-user nobody" {
            commands.push(vec!["-c", "runner/runner.cfg", "run"]);
        }
        for command in commands {
            let said = home.run(&command);
            let text = format!("{}{}", said.out, said.err);
            for part in texts.iter().copied().chain([file.as_str()]) {
                assert!(text.contains(part), "{option} {command:?}: {said:?}");
            }
            for wrong in ["no secret key", "no-allow-loopback-pinentry"] {
                assert!(!text.contains(wrong), "{option} {command:?}: {said:?}");
            }
            assert_eq!(said.exit, 78, "{option} {command:?}: {said:?}");
        }
    }
}
