//! Any text is a rule file or an error with one line; what compiles can be applied and tested.
#![no_main]

use logrisk_enrich::rules::Rules;

libfuzzer_sys::fuzz_target!(|yaml: &str| match Rules::from_yaml(yaml) {
    Ok(rules) => {
        let _ = rules.apply(None, yaml);
        let _ = rules.test();
    }
    Err(error) => assert!(!error.to_string().contains('\n')),
});
