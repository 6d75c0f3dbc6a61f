//! Compares with Hugging Face's `tokenizers`, and tries every refusal.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// A small cased-and-accented vocabulary that cuts most words into several pieces.
const VOCABULARY: &str = include_str!("tests/vocab.txt");

/// Ours and the reference, from the same tokenizer.json.
struct Both {
    ours: Tokenizer,
    reference: tokenizers::Tokenizer,
}

impl Both {
    fn new(normalizer: Normalizer, added: &[&str]) -> Self {
        let tokens = VOCABULARY.lines().map(str::to_owned).collect();
        let written = Tokenizer::from_vocabulary(tokens, normalizer, added).unwrap().to_json();
        Self::from_json(&written)
    }

    fn from_json(json: &str) -> Self {
        Self { ours: Tokenizer::from_json(json).unwrap(), reference: json.parse().unwrap() }
    }

    #[track_caller]
    fn check(&self, text: &str) {
        let mut ids = Vec::new();
        self.ours.encode_into(text, usize::MAX, &mut ids);
        let expected = self.reference.encode_fast(text, true).unwrap();
        assert_eq!(ids, expected.get_ids(), "{text:?}: {:?}", expected.get_tokens());
    }
}

static UNCASED: LazyLock<Both> =
    LazyLock::new(|| Both::new(Normalizer::default(), &["<num>", "<ip>", "<n", "<n/n>", "err"]));
static CASED: LazyLock<Both> = LazyLock::new(|| {
    let normalizer = Normalizer { lowercase: false, strip_accents: false, ..Normalizer::default() };
    Both::new(normalizer, &["<num>"])
});
static RAW: LazyLock<Both> = LazyLock::new(|| {
    let normalizer =
        Normalizer { clean_text: false, handle_chinese_chars: false, strip_accents: true, lowercase: false };
    Both::new(normalizer, &[])
});
/// Added tokens as `transformers` writes them: matched in the normalised text.
static NORMALIZED: LazyLock<Both> = LazyLock::new(|| {
    let json = UNCASED.ours.to_json();
    let mut file: serde_json::Value = serde_json::from_str(&json).unwrap();
    for token in file["added_tokens"].as_array_mut().unwrap() {
        let special = token["special"].as_bool().unwrap();
        token["normalized"] = (!special).into();
    }
    let mut extra = file["added_tokens"][0].clone();
    extra["id"] = UNCASED.ours.len().into();
    extra["content"] = "Größe B".into();
    extra["normalized"] = true.into();
    file["added_tokens"].as_array_mut().unwrap().push(extra);
    Both::from_json(&file.to_string())
});

fn all() -> [&'static Both; 4] {
    [&UNCASED, &CASED, &RAW, &NORMALIZED]
}

#[test]
fn encodes_as_the_reference() {
    for text in [
        "",
        " ",
        "error: connection refused",
        "ERROR Connection to 10.0.0.1:5432 refused (errno=111)",
        "x[SEP]y [CLS][CLS] [cls] [MASK]ing [UNK] [PAD",
        "failed after <num>ms on <ip>:<num>, <n/n> tries, <n/m> <<num>> <NUM> <nu",
        "error errno erroneous Error",
        "naïve café CAFÉ E\u{301}cole e\u{200b}\u{301} é\u{1}\u{301}",
        "a\u{302e}\u{301}b \u{1d165}\u{301}",
        "größe b GRÖSSE B Größe B groſse",
        "日本語のログ error 失敗しました 한국어 로그",
        "tab\tline\nend\r\nvertical\u{b}tab form\u{c}feed nul\0byte \u{85} \u{7f}",
        "nbsp\u{a0}thin\u{2009}zero\u{200b}width\u{feff}bom\u{fffd}",
        "emoji 👩‍👩‍👧 👍🏽 ✅ done → next µs ½ ﬁ",
        "ΑΣ Σ ΌΣΟΣ İstanbul ẞ ǅ",
        "quotes “a” ‘b’ «c» … — – ¿? ¡!",
        "ᾳ ; ` ´ \u{37e} \u{1fef} \u{2f800} \u{f900}",
        "##ing a##ing ## #",
    ] {
        for both in all() {
            both.check(text);
        }
    }
}

#[test]
fn a_word_above_the_limit_is_unknown_counted_in_characters() {
    for (word, times) in [("a", 99), ("a", 100), ("a", 101), ("ж", 100), ("ж", 101), ("é", 100), ("é", 101)]
    {
        UNCASED.check(&word.repeat(times));
        CASED.check(&word.repeat(times));
    }
}

#[test]
fn every_character_alone_and_inside_a_word_is_as_in_the_reference() {
    // Blocks of characters in one text keep this fast; a difference is then searched for.
    let characters: Vec<char> = (0..=0x10_ffff).filter_map(char::from_u32).collect();
    for both in [&*UNCASED, &*CASED] {
        for block in characters.chunks(64) {
            let text: String = block.iter().flat_map(|&c| ['a', c, 'b', ' ', c, ' ']).collect();
            let mut ids = Vec::new();
            both.ours.encode_into(&text, usize::MAX, &mut ids);
            if ids != both.reference.encode_fast(text, true).unwrap().get_ids() {
                for c in block {
                    both.check(&format!("a{c}b {c} "));
                }
                panic!("a difference in the block of {:?}", block.first());
            }
        }
    }
}

fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9 .:/=_-]{0,12}",
        1 => "\\PC{0,8}",
        1 => any::<String>(),
        2 => prop::sample::select(vec![
            "[SEP]", "[CLS]", "<num>", "<n/n>", "<n", "err", "[", "<", "##", "é", "e\u{301}", "\u{301}",
            "\u{302e}", "日本", "한국", "\u{200d}", "👩‍👧", "\0", "\t", "\r\n", "\u{a0}", "\u{2028}", "ﬁ", "İ", "größe b",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_text_is_encoded_as_by_the_reference(text in nasty()) {
        for both in all() {
            both.check(&text);
        }
    }

    #[test]
    fn truncation_keeps_the_head_and_the_tail(text in nasty(), limit in 0usize..40) {
        let (mut whole, mut kept, mut head) = (Vec::new(), Vec::new(), Vec::new());
        UNCASED.ours.encode_into(&text, usize::MAX, &mut whole);
        UNCASED.ours.encode_into(&text, limit, &mut kept);
        UNCASED.ours.encode_head_into(&text, limit, &mut head);
        let body = &whole[1..whole.len() - 1];
        let room = limit.saturating_sub(2).min(body.len());
        let tail = if room < body.len() { room / 4 } else { 0 };
        prop_assert_eq!(&kept[1..kept.len() - 1], [&body[..room - tail], &body[body.len() - tail..]].concat());
        prop_assert_eq!(&head[1..head.len() - 1], &body[..room]);

        let mut reference = UNCASED.reference.clone();
        if limit >= 3 {
            let truncation = tokenizers::TruncationParams { max_length: limit, ..Default::default() };
            reference.with_truncation(Some(truncation)).unwrap();
            let expected = reference.encode_fast(text.as_str(), true).unwrap();
            prop_assert_eq!(head, expected.get_ids());
        }
    }
}

#[test]
fn encodings_are_appended() {
    let mut ids = vec![7];
    UNCASED.ours.encode_into("", 128, &mut ids);
    assert_eq!(ids, [7, UNCASED.ours.start(), UNCASED.ours.end()]);
}

#[test]
fn a_written_tokenizer_is_read_again_the_same() {
    for both in all() {
        let json = both.ours.to_json();
        let again = Tokenizer::from_json(&json).unwrap();
        assert_eq!(again.to_json(), json);
        assert_eq!(again.tokens, both.ours.tokens);
        let size = both.reference.get_vocab_size(true);
        assert_eq!(both.ours.len(), size);
        for id in 0..size as u32 {
            assert_eq!(both.ours.token(id).map(str::to_owned), both.reference.id_to_token(id));
            assert_eq!(both.ours.id(both.ours.token(id).unwrap()), Some(id));
        }
    }
}

#[test]
fn vocab_txt_with_its_config_is_read() {
    let uncased = Tokenizer::from_vocabulary_file(VOCABULARY, None).unwrap();
    let cased =
        Tokenizer::from_vocabulary_file(VOCABULARY, Some(r#"{"do_lower_case": false, "x": 1}"#)).unwrap();
    assert_eq!(uncased.splitter.normalizer, Normalizer::default());
    assert!(!cased.splitter.normalizer.lowercase && !cased.splitter.normalizer.strip_accents);
    assert_eq!(uncased.added().len(), 5);
    let crlf = Tokenizer::from_vocabulary_file(&VOCABULARY.replace('\n', "\r\n"), None).unwrap();
    assert_eq!(crlf.tokens, uncased.tokens);
}

#[track_caller]
fn refuse(change: impl FnOnce(&mut serde_json::Value), expected: &str) {
    let mut file: serde_json::Value = serde_json::from_str(&UNCASED.ours.to_json()).unwrap();
    change(&mut file);
    let error = Tokenizer::from_json(&file.to_string()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn other_families_are_refused_by_the_name_of_the_part() {
    refuse(|file| file["model"]["type"] = "BPE".into(), "the model \"BPE\"");
    refuse(|file| file["normalizer"]["type"] = "NFC".into(), "the normalizer \"NFC\"");
    refuse(|file| file["normalizer"] = serde_json::Value::Null, "the normalizer null");
    refuse(|file| file["pre_tokenizer"]["type"] = "Metaspace".into(), "the pre-tokenizer \"Metaspace\"");
    refuse(|file| file["post_processor"]["type"] = "ByteLevel".into(), "the post-processor \"ByteLevel\"");
    refuse(
        |file| file["post_processor"]["single"].as_array_mut().unwrap().push(serde_json::Value::Null),
        "the post-processor",
    );
    for flag in ["single_word", "lstrip", "rstrip"] {
        refuse(|file| file["added_tokens"][0][flag] = true.into(), &format!("\"[PAD]\" with {flag}"));
    }
    assert!(Tokenizer::from_json("{").unwrap_err().to_string().contains("tokenizer.json cannot be read"));
    let config = Tokenizer::from_vocabulary_file(VOCABULARY, Some("[")).unwrap_err().to_string();
    assert!(config.contains("tokenizer_config.json cannot be read"), "{config}");
}

#[test]
fn a_vocabulary_with_holes_or_doubles_is_refused() {
    refuse(|file| file["model"]["vocab"]["error"] = 9_999.into(), "none with the id");
    refuse(|file| file["model"]["vocab"]["error"] = 0.into(), "none with the id");
    refuse(|file| file["added_tokens"][0]["id"] = 3.into(), "the added token \"[PAD]\" has the id 3, but 0");
    refuse(
        |file| file["added_tokens"][6]["id"] = 9_999.into(),
        "\"<ip>\" has the id 259, but 258 is expected",
    );
    refuse(|file| file["added_tokens"][5]["content"] = "".into(), "an added token is empty");
    let doubled = format!("{VOCABULARY}\nerror\n");
    let error = Tokenizer::from_vocabulary_file(&doubled, None).unwrap_err().to_string();
    assert!(error.contains("\"error\" twice"), "{error}");
    let error = Tokenizer::from_vocabulary_file("[PAD]\n[UNK]\n[CLS]\na\n", None).unwrap_err();
    assert_eq!(error.to_string(), "the vocabulary has no [SEP] token; is it that of a BERT model?");
}

#[test]
fn a_trimmed_vocabulary_keeps_what_is_needed_and_what_is_frequent() {
    let old = &UNCASED.ours;
    let mut counts = vec![0; old.len()];
    counts[old.id("refused").unwrap() as usize] = 5;
    let Trimmed { tokenizer, old_ids } = old.trimmed(&counts, 0, &["<size>"]).unwrap();
    let smallest = tokenizer.len();
    assert_eq!(tokenizer.id("refused"), None);
    let Trimmed { tokenizer: one_more, old_ids: one_more_ids } =
        old.trimmed(&counts, tokenizer.vocabulary + 1, &["<size>"]).unwrap();
    assert_eq!(one_more.len(), smallest + 1);
    assert!(one_more.id("refused").is_some());
    for (tokenizer, old_ids) in [(&tokenizer, &old_ids), (&one_more, &one_more_ids)] {
        assert_eq!(tokenizer.len(), old_ids.len());
        for (new, old_id) in old_ids.iter().enumerate() {
            let token = tokenizer.token(new as u32).unwrap();
            assert_eq!(old.id(token), *old_id, "{token}");
        }
        assert_eq!(old_ids.last(), Some(&None));
        let mut ids = Vec::new();
        tokenizer.encode_into("refused <size> <num> zz9", 128, &mut ids);
        assert!(!ids.contains(&tokenizer.unknown()));
        assert!(
            ids.contains(&tokenizer.id("<size>").unwrap()) && ids.contains(&tokenizer.id("<num>").unwrap())
        );
        Both::from_json(&tokenizer.to_json()).check("refused <size> errno <num> zz9 [SEP]");
    }
    let whole = old.trimmed(&counts, usize::MAX, &[]).unwrap();
    assert_eq!(whole.tokenizer.to_json(), old.to_json());
}

#[test]
fn a_vocabulary_is_learnt_from_text_and_the_same_each_time() {
    let learn = || {
        let mut trainer = VocabularyTrainer::new(Normalizer::default(), &["<num>"]);
        for (text, times) in
            [("Connection refused by <num>", 50), ("connection reset", 20), ("Größe 日本 x1", 2)]
        {
            trainer.add(text, times);
        }
        trainer.finish(180).unwrap()
    };
    let tokenizer = learn();
    assert_eq!(tokenizer.to_json(), learn().to_json());
    assert!(tokenizer.len() <= 180);
    let mut ids = Vec::new();
    tokenizer.encode_into("connection refused by <num>", 128, &mut ids);
    let tokens: Vec<&str> = ids.iter().filter_map(|&id| tokenizer.token(id)).collect();
    assert_eq!(tokens, ["[CLS]", "connection", "refused", "by", "<num>", "[SEP]"]);
    ids.clear();
    tokenizer.encode_into("Never_seen-Before7 größe", 128, &mut ids);
    assert!(!ids.contains(&tokenizer.unknown()));
    Both::from_json(&tokenizer.to_json()).check("Connection refusals by <num> 日本");
}

#[test]
fn an_empty_text_teaches_the_alphabet_alone() {
    let tokenizer = VocabularyTrainer::new(Normalizer::default(), &[]).finish(0).unwrap();
    assert!(tokenizer.id("##z").is_some());
    assert!(tokenizer.id("##Z").is_none());
}

#[test]
fn the_files_of_older_libraries_are_the_same_tokeniser() {
    for both in [&UNCASED, &CASED] {
        let files = both.ours.to_files(128);
        let file = |name: &str| &files.iter().find(|(file, _)| *file == name).unwrap().1;
        assert_eq!(*file("tokenizer.json"), both.ours.to_json());
        let read =
            Tokenizer::from_vocabulary_file(file("vocab.txt"), Some(file("tokenizer_config.json"))).unwrap();
        let text = "error err <num> <n/n> <n Connection [SEP] réfused";
        let (mut ours, mut again) = (Vec::new(), Vec::new());
        both.ours.encode_into(text, 64, &mut ours);
        read.encode_into(text, 64, &mut again);
        assert_eq!(ours, again);
        assert_eq!(read.len(), both.ours.len());
    }
}
