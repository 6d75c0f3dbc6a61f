//! Closed lists of words, looked up without comparing text: a word is one number, a list is sorted while compiling.

/// Words of up to 16 letters with what they mean.
pub(super) struct Words<T, const N: usize> {
    keys: [u128; N],
    values: [T; N],
    /// Which last letters go with each first letter: turns away most words before they are packed.
    ends: [u32; 32],
}

impl<T: Copy, const N: usize> Words<T, N> {
    /// Sorts a list. Written in lower case; each word once.
    pub(super) const fn new(words: [(&str, T); N]) -> Self {
        let (mut keys, mut values) = ([0; N], [words[0].1; N]);
        let (mut ends, mut count) = ([0; 32], 0);
        while count < N {
            let (word, value) = words[count];
            let bytes = word.as_bytes();
            let key = pack(bytes);
            ends[(bytes[0] & 31) as usize] |= 1 << (bytes[bytes.len() - 1] & 31);
            let mut place = count;
            while place > 0 && keys[place - 1] > key {
                keys[place] = keys[place - 1];
                values[place] = values[place - 1];
                place -= 1;
            }
            keys[place] = key;
            values[place] = value;
            count += 1;
        }
        Self { keys, values, ends }
    }

    /// What a word means, in whatever letter case it stands and with or without `_` and `-` inside.
    #[inline]
    pub(super) fn get(&self, word: &[u8]) -> Option<T> {
        let (first, last) = (word.first()?, word.last()?);
        if self.ends.get(usize::from(first & 31))? >> (last & 31) & 1 == 0 {
            return None;
        }
        let place = self.keys.binary_search(&pack(word)).ok()?;
        self.values.get(place).copied()
    }
}

/// A word as a number: lower case, `_` and `-` left out, so that `exit_code`, `exitCode` and `Exit-Code` are one. Zero,
/// which is no word, if it is too long.
const fn pack(word: &[u8]) -> u128 {
    let (mut key, mut place) = (0u128, 0);
    if word.len() > 20 {
        return 0;
    }
    while place < word.len() {
        let byte = word[place].to_ascii_lowercase();
        if byte != b'_' && byte != b'-' {
            if key >> 120 != 0 {
                return 0;
            }
            key = key << 8 | byte as u128;
        }
        place += 1;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn finds_each_spelling() {
        static WORDS: Words<u8, 3> = Words::new([("exitcode", 1), ("b", 2), ("sixteenletters16", 3)]);
        for (word, expected) in [
            ("exit_code", Some(1)),
            ("ExitCode", Some(1)),
            ("B", Some(2)),
            ("sixteenletters16", Some(3)),
            ("sixteenletters167", None),
            ("", None),
            ("exitcodes", None),
        ] {
            assert_eq!(WORDS.get(word.as_bytes()), expected, "{word}");
        }
    }
}
