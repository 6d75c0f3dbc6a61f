use super::*;

fn builtin() -> Rules {
    Rules::builtin().unwrap()
}

fn refused(yaml: &str) -> String {
    Rules::from_yaml(yaml).unwrap_err().to_string()
}

#[test]
fn every_example_of_the_default_file_holds() {
    let report = builtin().test();
    let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), report.examples, failures.join("\n"));
    assert!(report.examples > 100, "the default file documents itself by examples");
}

#[test]
fn every_default_rule_has_an_example_that_matches() {
    let rules = builtin();
    for name in rules.names() {
        let shown = rules.examples.iter().any(|example| example.shows(name));
        assert!(shown, "rule {name} has no example");
    }
}

/// The one pass must find what running every expression on every text would find.
#[test]
fn beginnings_hide_no_match() {
    let rules = builtin();
    let lines = rules.examples.iter().map(|example| example.line());
    for line in lines.flat_map(|line| [line.to_owned(), line.to_uppercase(), format!("ſ {line} ж")]) {
        let found: Vec<usize> = rules.compiled.hits(&line, 0).into_iter().map(|(owner, _)| owner).collect();
        for (index, rule) in rules.compiled.rules.iter().enumerate() {
            let alone = rule.finds_expression(&line);
            assert!(!alone || found.contains(&index), "rule {} hides in {line:?}", rule.name);
        }
    }
}

#[test]
fn the_level_at_the_front_is_not_searched() {
    let rules = builtin();
    let verdict = rules.apply(Some(Level::Error), "error db: connected to <host>");
    assert_eq!((verdict.risk.get(), verdict.matched.len()), (6, 0));
    let verdict = rules.apply(Some(Level::Debug), "debug fetch failed");
    assert_eq!((verdict.risk.get(), verdict.tag), (1, Tag::Debug));
}

#[test]
fn words_around_a_match_take_it_back() {
    let rules = builtin();
    let quiet = [
        "0 errors",
        "no error",
        "finished without error",
        "failed=0",
        "done err=<nil>",
        "error rate 0",
        "recovered from timeout",
        "previous failure cleared",
        "succeeded after timeout",
        "started with --fail-on-error=false",
        "wrote docs of error codes",
        "lost messages: 0",
    ];
    for text in quiet {
        let verdict = rules.apply(Some(Level::Info), text);
        assert!(verdict.risk.get() <= 3, "{text}: {verdict:?}");
    }
    let loud = [
        "12 errors",
        "failed=12",
        "err=\"connection refused\"",
        "no response from db, connection timed out",
        "failed to recover from disk failure",
    ];
    for text in loud {
        let verdict = rules.apply(Some(Level::Info), text);
        assert!(verdict.risk.get() >= 5, "{text}: {verdict:?}");
    }
}

#[test]
fn explanations_name_rules_phrases_and_contributions() {
    let text = "error OOMKilled: out of memory";
    let verdict = builtin().apply(Some(Level::Error), text);
    let first = &verdict.matched[0];
    assert_eq!((&*first.rule, &text[first.phrase.clone()], first.bonus), ("out-of-memory", "OOMKilled", 3));
    assert_eq!(first.risk.map(|range| range.to_string()).as_deref(), Some("7-9"));
    assert_eq!(verdict.risk.get(), 9);
}

const LEVELS: &str = "levels: {trace: &b {risk: 0, tag: DEBUG}, debug: *b, info: *b, notice: *b, warn: *b, error: *b, \
                      critical: *b, alert: *b, fatal: *b, panic: *b, none: *b}\n";

#[test]
fn errors_name_line_column_and_rule() {
    let rule = |body: &str| format!("extends: default\nrules:\n  - name: mine\n    {body}\n");
    let cases = [
        (rule("keyword: a\n    colour: red"), "line 5 column 5: rule mine: unknown field"),
        (
            rule("regex: 'a('\n    risk: 3"),
            "line 4 column 12: rule mine: the expression does not compile: unclosed group",
        ),
        (rule("regex: '(\\w{1,500}){1,500}'\n    risk: 3"), "rule mine: the expression does not compile"),
        (rule("keyword: a\n    risk: 11"), "rule mine: invalid"),
        (rule("keyword: a\n    risk: 7-5"), "a range such as 5-7"),
        (rule("keyword: a"), "line 3 column 11: rule mine: the rule says nothing; add tag, risk or bonus"),
        (rule("risk: 3"), "rule mine: nothing to match; add keyword, keywords or regex"),
        (rule("keyword: ''\n    risk: 3"), "rule mine: an empty keyword would match every line"),
        (
            rule("keyword: a\n    on: raw\n    risk: 3"),
            "line 5 column 9: rule mine: on: raw is not supported; rules see the masked",
        ),
        (
            rule("keyword: a\n    risk: 3\n  - name: mine\n    keyword: b\n    risk: 3"),
            "line 6 column 11: rule mine: another rule has this name",
        ),
        ("rules: []\n".to_owned(), "the file has no levels"),
        (String::new(), "the rule file is empty"),
        ("extends: other\n".to_owned(), "line 1 column 10: unknown variant"),
    ];
    for (yaml, expected) in cases {
        let error = refused(&yaml);
        assert!(error.contains(expected), "{yaml}\n{error}");
        assert!(!error.contains('\n'), "one line: {error}");
    }
}

#[test]
fn errors_do_not_quote_the_neighbourhood() {
    let error = refused("# password hunter2\nextends: default\nrules: {\n");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn own_rules_come_first_and_replace_those_of_the_same_name() {
    let yaml = "extends: default\nrules:\n  - {name: mine, keyword: connection refused, risk: 1}\n  \
                - {name: failed, keyword: xyzzy, risk: 9}\n";
    let rules = Rules::from_yaml(yaml).unwrap();
    assert_eq!(rules.apply(Some(Level::Error), "connection refused").risk.get(), 1);
    assert_eq!(rules.apply(None, "the job failed").risk.get(), 3);
}

#[test]
fn keywords_respect_word_and_case() {
    let yaml = format!(
        "{LEVELS}rules:\n  - {{name: word, keyword: oom, word: true, risk: 5}}\n  \
         - {{name: case, keyword: WAL, case_sensitive: true, risk: 7}}\n"
    );
    let rules = Rules::from_yaml(&yaml).unwrap();
    for (text, risk) in
        [("OOM!", 5), ("room", 0), ("walk", 0), ("the WAL", 7), ("OOM room", 5), ("é oom é", 5)]
    {
        assert_eq!(rules.apply(None, text).risk.get(), risk, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_rules_panic(text in "\\PC{0,200}") {
        static RULES: std::sync::LazyLock<Rules> = std::sync::LazyLock::new(builtin);
        let verdict = RULES.apply(Some(Level::Error), &text);
        for matched in verdict.matched {
            proptest::prop_assert!(text.get(matched.phrase).is_some());
        }
    }
}
