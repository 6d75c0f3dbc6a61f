//! What a training starts from: a checkpoint cut to the layers and tokens that logs need, or fresh weights.

use logrisk_enrich::mask::MASKS;
use logrisk_score::{
    tokenize::{Normalizer, Tokenizer, TokenizerError, VocabularyTrainer},
    weights::{Shape, Weights},
};

/// Keeps the first `layers` layers of a checkpoint; more than there are change nothing.
pub fn keep_layers(weights: &mut Weights, layers: usize) {
    weights.layers.truncate(layers);
    weights.shape.layers = weights.layers.len();
}

/// Gives a checkpoint the masks as tokens, and keeps of the others the `size` that `texts` use most (all without a
/// size). Rows of the word embedding follow their tokens.
///
/// # Errors
/// [`TokenizerError`] where no tokeniser can be made of what is left.
pub fn fit_vocabulary<'t>(
    weights: &mut Weights,
    tokenizer: &Tokenizer,
    texts: impl Iterator<Item = &'t str>,
    size: Option<usize>,
) -> Result<Tokenizer, TokenizerError> {
    let masks = MASKS.map(|(mask, _)| mask);
    let mut counts = vec![0u64; tokenizer.len()];
    let mut ids = Vec::new();
    let mut plain = String::new();
    for text in texts {
        // What the old tokeniser makes of "<" and "num" says nothing about which words logs need.
        plain.clear();
        plain.push_str(text);
        for mask in masks {
            if plain.contains(mask) {
                plain = plain.replace(mask, " ");
            }
        }
        ids.clear();
        tokenizer.encode_into(&plain, usize::MAX, &mut ids);
        for &id in &ids {
            if let Some(count) = counts.get_mut(id as usize) {
                *count += 1;
            }
        }
    }
    let trimmed = tokenizer.trimmed(&counts, size.unwrap_or(tokenizer.len()), &masks)?;
    let width = weights.shape.hidden;
    let old = &weights.embeddings.word;
    let row_of = |id: u32| old.get(id as usize * width..(id as usize + 1) * width);
    let mut word = Vec::with_capacity(trimmed.old_ids.len() * width);
    for (new, old_id) in trimmed.old_ids.iter().enumerate() {
        let start = word.len();
        word.resize(start + width, 0.0);
        if let Some(row) = old_id.and_then(row_of) {
            word[start..].copy_from_slice(row);
            continue;
        }
        let name = trimmed.tokenizer.token(new as u32).unwrap_or_default();
        let meaning = MASKS.iter().find(|(mask, _)| *mask == name).map_or(name, |(_, meaning)| meaning);
        ids.clear();
        tokenizer.encode_into(meaning, 16, &mut ids);
        // Without [CLS] and [SEP].
        let words = ids.get(1..ids.len().saturating_sub(1)).unwrap_or_default();
        for row in words.iter().filter_map(|&id| row_of(id)) {
            for (value, part) in word[start..].iter_mut().zip(row) {
                *value += part / words.len() as f32;
            }
        }
    }
    weights.shape.vocabulary = trimmed.old_ids.len();
    weights.embeddings.word = word;
    Ok(trimmed.tokenizer)
}

/// A tokeniser of at most `size` tokens learnt from `texts`, and random weights of that shape for it.
///
/// # Errors
/// [`TokenizerError`] where the texts give none.
pub fn from_scratch<'t>(
    shape: Shape,
    texts: impl Iterator<Item = &'t str>,
    size: usize,
    seed: u64,
) -> Result<(Weights, Tokenizer), TokenizerError> {
    let normalizer =
        Normalizer { clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true };
    let mut trainer = VocabularyTrainer::new(normalizer, &MASKS.map(|(mask, _)| mask));
    texts.for_each(|text| trainer.add(text, 1));
    let tokenizer = trainer.finish(size)?;
    let weights = Weights::random(Shape { vocabulary: tokenizer.len(), ..shape }, seed);
    Ok((weights, tokenizer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use logrisk_score::weights::Activation;

    fn scratch() -> (Weights, Tokenizer) {
        let shape = Shape {
            vocabulary: 0,
            hidden: 32,
            layers: 3,
            heads: 2,
            intermediate: 64,
            positions: 16,
            norm_epsilon: 1e-12,
            activation: Activation::Gelu,
        };
        let texts = ["disk full on <path>", "disk <num> is healthy", "address refused"];
        from_scratch(shape, texts.into_iter().cycle().take(60), 400, 3).unwrap()
    }

    fn row<'w>(weights: &'w Weights, tokenizer: &Tokenizer, token: &str) -> &'w [f32] {
        &weights.embeddings.word[tokenizer.id(token).unwrap() as usize * 32..][..32]
    }

    #[test]
    fn a_new_model_has_a_row_for_each_token_and_each_mask() {
        let (weights, tokenizer) = scratch();
        assert_eq!(weights.embeddings.word.len(), 32 * tokenizer.len());
        assert!(MASKS.iter().all(|(mask, _)| tokenizer.id(mask).is_some()));
    }

    #[test]
    fn rows_follow_their_tokens_when_the_vocabulary_shrinks() {
        let (weights, tokenizer) = scratch();
        let mut smaller = weights.clone();
        let size = tokenizer.len() - MASKS.len() - 5;
        let trimmed =
            fit_vocabulary(&mut smaller, &tokenizer, ["disk full"].into_iter(), Some(size)).unwrap();
        assert!(trimmed.len() < tokenizer.len());
        assert_eq!(smaller.embeddings.word.len(), 32 * trimmed.len());
        for token in ["disk", "[CLS]", "<path>"] {
            assert_eq!(row(&smaller, &trimmed, token), row(&weights, &tokenizer, token), "{token}");
        }
    }

    #[test]
    fn the_first_layers_are_kept() {
        let (mut weights, _) = scratch();
        let first = weights.layers[0].clone();
        keep_layers(&mut weights, 1);
        assert_eq!((weights.shape.layers, &weights.layers[..]), (1, &[first][..]));
    }
}
