//! Reads tokenizer.json and vocab.txt, and refuses by name what BERT's tokenisers do not have.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde::Deserialize;
use serde_json::Value;

use super::{AddedToken, Normalizer, Tokenizer, split::Splitter, trie::Trie};

/// Why a tokeniser was refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// Not JSON, or not of tokenizer.json's form.
    #[error("tokenizer.json cannot be read ({0}); save it again with Hugging Face tokenizers")]
    Json(serde_json::Error),
    /// Not JSON, or not of tokenizer_config.json's form.
    #[error("tokenizer_config.json cannot be read ({0}); save it again with Hugging Face transformers")]
    Config(serde_json::Error),
    /// A part that no tokeniser of the BERT family has.
    #[error("tokenizer.json asks for the {part} {found}, which is not supported; {remedy}")]
    Unsupported {
        /// Which part of the file.
        part: &'static str,
        /// What it says there.
        found: String,
        /// What is supported.
        remedy: &'static str,
    },
    /// A token that every model of the family has.
    #[error("the vocabulary has no {0} token; is it that of a BERT model?")]
    MissingToken(String),
    /// A token with two ids.
    #[error("the vocabulary lists the token {token:?} twice, as {first} and as {second}; remove one")]
    DuplicateToken {
        /// The token.
        token: String,
        /// Its first id.
        first: u32,
        /// Its second id.
        second: u32,
    },
    /// Ids that do not count 0, 1, 2, …
    #[error(
        "the vocabulary has {tokens} tokens but none with the id {id}; ids must count from 0 without a gap"
    )]
    MissingId {
        /// The id that is missing.
        id: u32,
        /// How many tokens there are.
        tokens: usize,
    },
    /// An added token whose id is not that of the same vocabulary entry, nor the next one behind the vocabulary.
    #[error(
        "the added token {token:?} has the id {id}, but {expected} is expected; save the tokenizer again"
    )]
    AddedTokenId {
        /// The token.
        token: String,
        /// Its id in the file.
        id: u32,
        /// The id that Hugging Face would give it.
        expected: u32,
    },
    /// An added token that would match nothing or everything.
    #[error("an added token is empty, or nothing is left of it after normalisation: {0:?}; remove it")]
    EmptyAddedToken(String),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedTokenEntry>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    model: Model,
}

#[derive(Deserialize)]
struct AddedTokenEntry {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct Model {
    /// Files of before 2020 have none.
    #[serde(rename = "type")]
    kind: Option<String>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    max_input_chars_per_word: Option<usize>,
    /// A map in WordPiece, a list elsewhere: taken apart once the type is known.
    vocab: Value,
}

#[derive(Deserialize)]
struct NormalizerEntry {
    clean_text: bool,
    handle_chinese_chars: bool,
    strip_accents: Option<bool>,
    lowercase: bool,
}

/// What tokenizer_config.json says about the normaliser and of tokens that stand outside WordPiece; the rest of that file
/// does not matter here.
#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default = "yes")]
    do_lower_case: bool,
    #[serde(default = "yes")]
    tokenize_chinese_chars: bool,
    strip_accents: Option<bool>,
    /// By id: numbers as JSON has them in keys.
    #[serde(default)]
    added_tokens_decoder: HashMap<u32, AddedEntry, RandomState>,
}

#[derive(Deserialize)]
struct AddedEntry {
    content: String,
}

const fn yes() -> bool {
    true
}

/// All that a tokeniser is made of, before its tables are built.
pub(super) struct Parts {
    /// The WordPiece vocabulary by id.
    pub(super) vocabulary: Vec<String>,
    pub(super) added: Vec<AddedToken>,
    pub(super) normalizer: Normalizer,
    pub(super) prefix: String,
    pub(super) longest_word: usize,
    pub(super) unknown: String,
    pub(super) start: String,
    pub(super) end: String,
}

/// BERT's own marks, in the order of Hugging Face's vocabulary trainer.
pub(super) const MARKS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// What stands before a piece that goes on with a word.
pub(super) const PREFIX: &str = "##";
/// The WordPiece default.
pub(super) const LONGEST_WORD: usize = 100;

impl Tokenizer {
    /// Reads a tokenizer.json. Its `truncation`, `padding` and `decoder` sections do not matter here: the caller of
    /// [`Tokenizer::encode_into`] names the limit, and nothing is padded.
    ///
    /// # Errors
    /// [`TokenizerError`], naming the part that is broken or that is not of the BERT family.
    pub fn from_json(text: &str) -> Result<Self, TokenizerError> {
        let file: File = serde_json::from_str(text).map_err(TokenizerError::Json)?;
        let normalizer = read_normalizer(&file.normalizer)?;
        if kind(&file.pre_tokenizer) != "BertPreTokenizer" {
            return Err(unsupported("pre-tokenizer", &file.pre_tokenizer, "only BertPreTokenizer is"));
        }
        if file.model.kind.as_deref().is_some_and(|kind| kind != "WordPiece") {
            let found = Value::from(file.model.kind);
            return Err(unsupported("model", &found, "only WordPiece is"));
        }
        let (start, end) = read_marks(&file.post_processor)?;
        let vocab = serde_json::from_value(file.model.vocab).map_err(TokenizerError::Json)?;
        Self::from_parts(Parts {
            vocabulary: by_id(vocab)?,
            added: file.added_tokens.into_iter().map(read_added).collect::<Result<_, _>>()?,
            normalizer,
            prefix: file.model.continuing_subword_prefix.unwrap_or_else(|| PREFIX.to_owned()),
            longest_word: file.model.max_input_chars_per_word.unwrap_or(LONGEST_WORD),
            unknown: file.model.unk_token.unwrap_or_else(|| "[UNK]".to_owned()),
            start,
            end,
        })
    }

    /// Reads a vocab.txt, one token a line, and the tokenizer_config.json beside it if there is one; without, the model
    /// is taken for an uncased one.
    ///
    /// # Errors
    /// [`TokenizerError`], naming the token or the file.
    pub fn from_vocabulary_file(vocabulary: &str, config: Option<&str>) -> Result<Self, TokenizerError> {
        let mut normalizer = Normalizer::default();
        let mut added = Vec::new();
        if let Some(text) = config {
            let config: ConfigFile = serde_json::from_str(text).map_err(TokenizerError::Config)?;
            normalizer = Normalizer {
                handle_chinese_chars: config.tokenize_chinese_chars,
                strip_accents: config.strip_accents.unwrap_or(config.do_lower_case),
                lowercase: config.do_lower_case,
                ..normalizer
            };
            added.extend(config.added_tokens_decoder);
            added.sort_by_key(|(id, _)| *id);
        }
        let tokens = vocabulary.lines().map(|line| line.trim_end().to_owned()).collect();
        let added: Vec<&str> = added
            .iter()
            .map(|(_, token)| token.content.as_str())
            .filter(|content| !MARKS.contains(content))
            .collect();
        Self::from_vocabulary(tokens, normalizer, &added)
    }

    /// A tokeniser of these WordPiece tokens by id. The five marks among them ([PAD] and so on) are matched whole; each of
    /// `added` as well, and gets the next id unless it is a token already.
    ///
    /// # Errors
    /// [`TokenizerError`] if a token stands there twice, or if [UNK], [CLS] or [SEP] is missing.
    pub fn from_vocabulary(
        tokens: Vec<String>,
        normalizer: Normalizer,
        added: &[&str],
    ) -> Result<Self, TokenizerError> {
        let mut ids: HashMap<&str, u32, RandomState> = HashMap::default();
        for (id, token) in tokens.iter().enumerate() {
            let second = id as u32;
            if let Some(first) = ids.insert(token, second) {
                return Err(TokenizerError::DuplicateToken { token: token.clone(), first, second });
            }
        }
        let mut next = tokens.len() as u32;
        let mut list = Vec::new();
        for (content, special) in
            MARKS.iter().map(|mark| (*mark, true)).chain(added.iter().map(|added| (*added, false)))
        {
            let known = ids.get(content).copied();
            if known.is_none() && special {
                continue;
            }
            let id = known.unwrap_or(next);
            if known.is_none() {
                next += 1;
                ids.insert(content, id);
            }
            list.push(AddedToken { content: content.to_owned(), id, special, normalized: false });
        }
        Self::from_parts(Parts {
            added: list,
            vocabulary: tokens,
            normalizer,
            prefix: PREFIX.to_owned(),
            longest_word: LONGEST_WORD,
            unknown: "[UNK]".to_owned(),
            start: "[CLS]".to_owned(),
            end: "[SEP]".to_owned(),
        })
    }

    pub(super) fn from_parts(parts: Parts) -> Result<Self, TokenizerError> {
        let Parts { vocabulary: mut tokens, mut added, .. } = parts;
        let vocabulary = tokens.len();
        let trie = Trie::new(tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id as u32)));
        added.sort_by_key(|token| token.id);
        let mut scratch = String::new();
        for token in &added {
            let mut normalized = String::new();
            parts.normalizer.append(&token.content, &mut scratch, &mut normalized);
            if token.content.is_empty() || (token.normalized && normalized.is_empty()) {
                return Err(TokenizerError::EmptyAddedToken(token.content.clone()));
            }
            let expected = trie.value(token.content.as_bytes()).unwrap_or(tokens.len() as u32);
            if token.id != expected {
                return Err(TokenizerError::AddedTokenId {
                    token: token.content.clone(),
                    id: token.id,
                    expected,
                });
            }
            if expected as usize == tokens.len() {
                tokens.push(token.content.clone());
            }
        }
        let id_of = |token: &str| {
            trie.value(token.as_bytes())
                .or_else(|| added.iter().find(|added| added.content == token).map(|added| added.id))
                .ok_or_else(|| TokenizerError::MissingToken(token.to_owned()))
        };
        Ok(Self {
            vocabulary,
            splitter: Splitter::new(parts.normalizer, &added),
            continuing: trie.walk(parts.prefix.as_bytes()),
            prefix: parts.prefix,
            longest_word: parts.longest_word,
            unknown: id_of(&parts.unknown)?,
            start: id_of(&parts.start)?,
            end: id_of(&parts.end)?,
            tokens,
            added,
            trie,
        })
    }
}

fn kind(section: &Value) -> &str {
    section.get("type").and_then(Value::as_str).unwrap_or_default()
}

fn unsupported(part: &'static str, found: &Value, remedy: &'static str) -> TokenizerError {
    let name = found.get("type").unwrap_or(found);
    // A whole section can be long; its start is enough to find it.
    let found = name.to_string().chars().take(80).collect();
    TokenizerError::Unsupported { part, found, remedy }
}

fn read_normalizer(section: &Value) -> Result<Normalizer, TokenizerError> {
    if kind(section) != "BertNormalizer" {
        return Err(unsupported("normalizer", section, "only BertNormalizer is"));
    }
    let entry = NormalizerEntry::deserialize(section).map_err(TokenizerError::Json)?;
    Ok(Normalizer {
        clean_text: entry.clean_text,
        handle_chinese_chars: entry.handle_chinese_chars,
        strip_accents: entry.strip_accents.unwrap_or(entry.lowercase),
        lowercase: entry.lowercase,
    })
}

/// The marks before and after a text: of `TemplateProcessing`, or of the older `BertProcessing`.
fn read_marks(section: &Value) -> Result<(String, String), TokenizerError> {
    let pair = match kind(section) {
        "TemplateProcessing" => match section.get("single").and_then(Value::as_array).map(Vec::as_slice) {
            Some([start, text, end]) if text.get("Sequence").is_some() => {
                let mark = |part: &Value| part.pointer("/SpecialToken/id")?.as_str().map(str::to_owned);
                mark(start).zip(mark(end))
            }
            _ => None,
        },
        "BertProcessing" => {
            let mark = |name: &str| section.get(name)?.get(0)?.as_str().map(str::to_owned);
            mark("cls").zip(mark("sep"))
        }
        _ => None,
    };
    pair.ok_or_else(|| {
        unsupported("post-processor", section, "only one mark before and one after the text is")
    })
}

fn read_added(entry: AddedTokenEntry) -> Result<AddedToken, TokenizerError> {
    for (flag, name) in
        [(entry.single_word, "single_word"), (entry.lstrip, "lstrip"), (entry.rstrip, "rstrip")]
    {
        if flag {
            return Err(TokenizerError::Unsupported {
                part: "added token",
                found: format!("{:?} with {name}", entry.content),
                remedy: "set it to false",
            });
        }
    }
    let AddedTokenEntry { id, content, normalized, special, .. } = entry;
    Ok(AddedToken { content, id, special, normalized })
}

fn by_id(vocab: HashMap<String, u32>) -> Result<Vec<String>, TokenizerError> {
    let count = vocab.len();
    let mut tokens: Vec<Option<String>> = vec![None; count];
    for (token, id) in vocab {
        if let Some(place) = tokens.get_mut(id as usize) {
            *place = Some(token);
        }
    }
    // As many places as tokens: an id beyond the end, or one given twice, leaves a gap.
    match tokens.iter().position(Option::is_none) {
        Some(id) => Err(TokenizerError::MissingId { id: id as u32, tokens: count }),
        None => Ok(tokens.into_iter().flatten().collect()),
    }
}
