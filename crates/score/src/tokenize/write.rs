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

    fn name(&self, id: u32) -> &str {
        self.token(id).unwrap_or_default()
    }
}
