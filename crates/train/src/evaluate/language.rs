//! The language of a line's words, guessed from its script and from common words.
//!
//! Good enough to tell groups of lines apart, and no more: a line of names and numbers counts as English, which most logs
//! are written in. Data that knows better says so in a column.

/// Common words that tell the languages of Latin script from each other, in lower case. English comes last: it wins where
/// two are equal.
const WORDS: &[(&str, &str)] = &[
    (
        "german",
        "der das und nicht wurde wird ist kein keine konnte fehler für auf mit verbindung ungültig ungültige beim zu \
         nach vom zum datei abgebrochen fehlgeschlagen gestartet beendet warnung verfügbar",
    ),
    (
        "french",
        "le les des est une du dans avec pour pas été échec erreur impossible connexion fichier au aux sur délai \
         dépassé terminé démarré refusée serveur mémoire espace disque",
    ),
    (
        "spanish",
        "el los las del con por una conexión archivo fichero servidor iniciado falló fallo fallida rechazada espacio \
         está se sin tiempo agotado usuario inválido advertencia pudo y",
    ),
    (
        "portuguese",
        "não foi uma com ao dos das da do conexão falha erro arquivo servidor iniciado recusada espaço possível \
         memória usuário tempo esgotado aviso está sem às são após durante",
    ),
    ("english", "the to of for is by from and not with failed could cannot do has was in on at error"),
];

/// The language, in lower case; `english` where nothing says otherwise.
pub(super) fn guess(text: &str) -> &'static str {
    if let Some(language) = by_script(text) {
        return language;
    }
    let mut hits = [0usize; WORDS.len()];
    let lower = text.to_lowercase();
    for word in lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        for ((_, words), hits) in WORDS.iter().zip(&mut hits) {
            *hits += usize::from(words.split(' ').any(|known| known == word));
        }
    }
    let best = WORDS.iter().zip(hits).max_by_key(|(_, hits)| *hits);
    // One short word alone may be a name: `das`, `le0`, `do`.
    best.filter(|(_, hits)| *hits >= 2).map_or("english", |((language, _), _)| language)
}

/// Scripts that belong to one language here. Japanese mixes kana with Chinese characters, so kana decide.
fn by_script(text: &str) -> Option<&'static str> {
    if text.is_ascii() {
        return None;
    }
    let has = |first: char, last: char| text.chars().any(|c| (first..=last).contains(&c));
    if has('\u{ac00}', '\u{d7a3}') || has('\u{1100}', '\u{11ff}') {
        Some("korean")
    } else if has('\u{3041}', '\u{30ff}') {
        Some("japanese")
    } else if has('\u{4e00}', '\u{9fff}') {
        Some("chinese")
    } else if has('\u{0400}', '\u{04ff}') {
        Some("russian")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::guess;

    #[test]
    fn languages() {
        let cases = [
            ("connection refused by 10.0.0.1", "english"),
            ("Failed to do das lookup", "english"),
            ("Verbindung zum Server wurde abgebrochen", "german"),
            ("Échec de la connexion au serveur : délai dépassé", "french"),
            ("No se pudo abrir el archivo: espacio agotado", "spanish"),
            ("Não foi possível abrir o arquivo", "portuguese"),
            ("磁盘空间不足", "chinese"),
            ("ディスク容量が不足しています", "japanese"),
            ("디스크 공간이 부족합니다", "korean"),
            ("Не удалось подключиться к базе данных", "russian"),
            ("", "english"),
        ];
        for (text, expected) in cases {
            assert_eq!(guess(text), expected, "{text}");
        }
    }
}
