//! The generated reference is what the binary says of itself.

use std::fs;

use crate::common::{repository, run};

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What is indented further continues the line before it.
        .filter_map(|line| {
            line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?.split_whitespace().next()
        })
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Appends the help of a command and of the commands below it.
fn describe(words: &[String], text: &mut String) {
    let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = run(&arguments, "").stdout;
    let heading =
        if words.is_empty() { "logrisk".to_owned() } else { format!("logrisk {}", words.join(" ")) };
    text.push_str(&format!("\n## {heading}\n\n```text\n{}\n```\n", help.trim_end()));
    for command in commands(&help) {
        let words: Vec<String> = words.iter().cloned().chain([command]).collect();
        describe(&words, text);
    }
}

/// `UPDATE_REFERENCE=1 cargo test --test binary reference` writes the file anew.
#[test]
fn the_command_line_reference_is_up_to_date() {
    let mut text = "# Command line\n\nGenerated from `--help`; `UPDATE_REFERENCE=1 cargo test --test binary reference` writes it anew.\n".to_owned();
    describe(&[], &mut text);
    let path = repository("docs/reference/command-line.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "the reference is stale");
}

#[test]
fn every_command_shows_examples_and_completes() {
    let help = run(&["--help"], "").stdout;
    for command in commands(&help) {
        let help = run(&[&command, "--help"], "").stdout;
        assert!(help.contains("Examples:"), "{command} has no examples");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell], "").stdout.contains("logrisk"), "{shell}");
    }
}
