//! Writes tokenizer.json, so that whatever logrisk trains can be opened by Hugging Face's libraries.

use serde_json::{Map, Value, json};

use super::Tokenizer;

impl Tokenizer {
    /// The tokeniser as a tokenizer.json; [`Tokenizer::from_json`] of it is the same tokeniser.
    #[must_use]
    pub fn to_json(&self) -> String {
        let vocabulary: Map<String, Value> = self
            .tokens
            .iter()
            .take(self.vocabulary)
            .enumerate()
            .map(|(id, token)| (token.clone(), Value::from(id)))
            .collect();
        let added: Vec<Value> = self
            .added
            .iter()
            .map(|token| {
                json!({
                    "id": token.id,
                    "content": token.content,
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": false,
                    "normalized": token.normalized,
                    "special": token.special,
                })
            })
            .collect();
        let normalizer = self.splitter.normalizer;
        let (start, end) = (self.name(self.start), self.name(self.end));
        let mark = |name: &str, kind: usize| json!({"SpecialToken": {"id": name, "type_id": kind}});
        let text = |name: &str, kind: usize| json!({"Sequence": {"id": name, "type_id": kind}});
        let file = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": normalizer.clean_text,
                "handle_chinese_chars": normalizer.handle_chinese_chars,
                "strip_accents": normalizer.strip_accents,
                "lowercase": normalizer.lowercase,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [mark(start, 0), text("A", 0), mark(end, 0)],
                "pair": [mark(start, 0), text("A", 0), mark(end, 0), text("B", 1), mark(end, 1)],
                "special_tokens": {
                    start: {"id": start, "ids": [self.start], "tokens": [start]},
                    end: {"id": end, "ids": [self.end], "tokens": [end]},
                },
            },
            "decoder": {"type": "WordPiece", "prefix": self.prefix, "cleanup": true},
            "model": {
                "type": "WordPiece",
                "unk_token": self.name(self.unknown),
                "continuing_subword_prefix": self.prefix,
                "max_input_chars_per_word": self.longest_word,
                "vocab": vocabulary,
            },
        });
        file.to_string()
    }

    /// The tokeniser as the files that Hugging Face's libraries of any age look for, by name: tokenizer.json is read by newer
    /// ones, vocab.txt and the rest by those of before 2024 and by the slow BertTokenizer. `longest` is the most tokens that
    /// the model reads.
    #[must_use]
    pub fn to_files(&self, longest: usize) -> Vec<(&'static str, String)> {
        let normalizer = self.splitter.normalizer;
        let added_by_id: Map<String, Value> = self
            .added
            .iter()
            .map(|token| {
                let entry = json!({
                    "content": token.content,
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": false,
                    "normalized": token.normalized,
                    "special": token.special,
                });
                (token.id.to_string(), entry)
            })
            .collect();
        let added: Map<String, Value> = self
            .added
            .iter()
            .filter(|token| !token.special)
            .map(|token| (token.content.clone(), Value::from(token.id)))
            .collect();
        let mut marks = Map::new();
        for (role, mark) in [
            ("unk_token", self.name(self.unknown)),
            ("sep_token", self.name(self.end)),
            ("pad_token", "[PAD]"),
            ("cls_token", self.name(self.start)),
            ("mask_token", "[MASK]"),
        ] {
            if self.id(mark).is_some() {
                marks.insert(role.to_owned(), Value::from(mark));
            }
        }
        let mut config = json!({
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": normalizer.lowercase,
            "strip_accents": normalizer.strip_accents,
            "tokenize_chinese_chars": normalizer.handle_chinese_chars,
            "model_max_length": longest,
            "added_tokens_decoder": added_by_id,
        });
        if let Some(config) = config.as_object_mut() {
            config.extend(marks.clone());
        }
        let lines = |value: &Value| format!("{value:#}\n");
        vec![
            ("tokenizer.json", self.to_json()),
            ("vocab.txt", self.tokens.iter().map(|token| format!("{token}\n")).collect()),
            ("tokenizer_config.json", lines(&config)),
            ("special_tokens_map.json", lines(&Value::Object(marks))),
            ("added_tokens.json", lines(&Value::Object(added))),
        ]
    }

    fn name(&self, id: u32) -> &str {
        self.token(id).unwrap_or_default()
    }
}
