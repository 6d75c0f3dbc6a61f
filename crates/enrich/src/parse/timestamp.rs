//! Times as programs write them: found at the front of a text without regular expressions, read when asked for.
//!
//! One reader serves both ends. The parser needs only the length of the time at the front of a header
//! ([`length`]); whoever stores a record needs the instant ([`instant`]). A time without a zone is taken as UTC, a
//! time without a year or a date as the latest that is not more than a day after the reference.

use jiff::{SignedDuration, Timestamp, civil, tz::Offset};

/// How many bytes of a time stand at the front of the text, zone included.
pub(super) fn length(text: &str) -> Option<usize> {
    read(text).map(|(_, length)| length)
}

/// The instant that a whole text names. Numbers are seconds, milli-, micro- or nanoseconds since 1970 by their size.
pub(super) fn instant(text: &str, reference: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if let Some((moment, _)) = read(text).or_else(|| read_klog(text)) {
        return moment.instant(reference);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().ok()?;
    match whole.len() {
        9..=10 => Timestamp::new(number, nanoseconds(fraction.as_bytes())).ok(),
        12..=13 => Timestamp::from_millisecond(number).ok(),
        15..=16 => Timestamp::from_microsecond(number).ok(),
        18..=19 => Timestamp::from_nanosecond(number.into()).ok(),
        _ => None,
    }
}

/// A time as read: what the text left open is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Moment {
    year: Option<i16>,
    month_and_day: Option<(i8, i8)>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    /// Seconds east of Greenwich.
    offset: Option<i32>,
}

impl Moment {
    fn instant(self, reference: Timestamp) -> Option<Timestamp> {
        let offset = Offset::from_seconds(self.offset.unwrap_or(0)).ok()?;
        let today = offset.to_datetime(reference).date();
        // 60 is a leap second, which civil times do not have.
        let time = civil::Time::new(self.hour, self.minute, self.second.min(59), self.nanosecond).ok()?;
        let at = |year: i16, (month, day): (i8, i8)| {
            offset.to_timestamp(civil::Date::new(year, month, day).ok()?.to_datetime(time)).ok()
        };
        let latest = reference.checked_add(SignedDuration::from_hours(24)).ok()?;
        match (self.year, self.month_and_day) {
            (Some(year), Some(day)) => at(year, day),
            (_, Some(day)) => [today.year() + 1, today.year(), today.year() - 1, today.year() - 4]
                .into_iter()
                .filter_map(|year| at(year, day))
                .find(|instant| *instant <= latest),
            (_, None) => at(today.year(), (today.month(), today.day())),
        }
    }
}

/// Reads the time at the front of a text; with it, its length.
fn read(text: &str) -> Option<(Moment, usize)> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    let moment = match reader.peek() {
        b'0'..=b'9' => reader.numeric()?,
        b'A'..=b'Z' => reader.named()?,
        _ => return None,
    };
    // A time ends where its token ends: "10:30:45x" or "2024-01-15T10:30:45-main" is something else.
    (!reader.peek().is_ascii_alphanumeric()).then_some((moment, reader.at))
}

/// `0115 10:30:45.123456`, which only klog writes: month and day as one number.
fn read_klog(text: &str) -> Option<(Moment, usize)> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    let month = reader.two()?;
    let day = reader.two()?;
    reader.expect(b' ')?;
    let mut moment = Moment { month_and_day: Some((month, day)), ..Moment::default() };
    reader.clock(&mut moment)?;
    Some((moment, reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next byte, 0 at the end.
    fn peek(&self) -> u8 {
        self.ahead(0)
    }

    fn ahead(&self, distance: usize) -> u8 {
        self.bytes.get(self.at + distance).copied().unwrap_or(0)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek() == byte).then(|| self.at += 1)
    }

    /// One byte of a set of separators.
    fn separator(&mut self, set: &[u8]) -> Option<u8> {
        let byte = self.peek();
        set.contains(&byte).then(|| {
            self.at += 1;
            byte
        })
    }

    fn digits_ahead(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// Exactly `count` digits.
    fn fixed(&mut self, count: usize) -> Option<i16> {
        let digits = self.bytes.get(self.at..self.at + count)?;
        let mut number = 0;
        for byte in digits {
            if !byte.is_ascii_digit() {
                return None;
            }
            number = number * 10 + i16::from(byte - b'0');
        }
        self.at += count;
        Some(number)
    }

    fn four(&mut self) -> Option<i16> {
        self.fixed(4)
    }

    fn two(&mut self) -> Option<i8> {
        self.fixed(2).map(|number| number as i8) // at most 99
    }

    fn one_or_two(&mut self) -> Option<i8> {
        if self.ahead(1).is_ascii_digit() { self.two() } else { self.fixed(1).map(|number| number as i8) }
    }

    /// A time that begins with a digit, by the number of digits before the first separator.
    fn numeric(&mut self) -> Option<Moment> {
        let mut moment = Moment::default();
        match (self.digits_ahead(), self.ahead(self.digits_ahead())) {
            // 2024-01-15T10:30:45, 2024/01/15 10:30:45, 2024.01.15 10:30:45, BlueGene's 2005-06-03-15.42.50.675872
            (4, b'-' | b'/' | b'.') => {
                moment.year = Some(self.four()?);
                let separator = self.separator(b"-/.")?;
                let month = self.two()?;
                self.expect(separator)?;
                moment.month_and_day = Some((month, self.two()?));
                self.separator(b"T t_-:,")?;
                if self.peek() == b' ' {
                    self.at += 1;
                }
                self.clock(&mut moment)?;
            }
            // 20240115T103045Z, 20171223-22:15:29:606
            (8, b'-' | b' ' | b'T') => {
                moment.year = Some(self.four()?);
                moment.month_and_day = Some((self.two()?, self.two()?));
                self.at += 1;
                self.clock(&mut moment)?;
            }
            // 240115 10:30:45, Hadoop's old 081109 203615
            (6, b' ') => {
                moment.year = Some(2000 + i16::from(self.two()?));
                moment.month_and_day = Some((self.two()?, self.two()?));
                self.at += 1;
                self.clock(&mut moment)?;
            }
            (1 | 2, b':') => self.clock(&mut moment)?,
            (1 | 2, b'-' | b'/' | b' ' | b'.') => self.day_first(&mut moment)?,
            // Squid's 1705314645.123 and loggers that print milliseconds; shorter numbers are not times.
            (10, b'.') if self.peek() == b'1' && self.ahead(11).is_ascii_digit() => return self.epoch(),
            (13, b' ') if self.peek() == b'1' => return self.epoch(),
            _ => return None,
        }
        Some(moment)
    }

    /// `15-Jan-2024`, `15/Jan/2024:`, `15 Jan 2024`, `15.01.2024`, `01/15/2024`, `24/01/15`, Android's `01-15`.
    fn day_first(&mut self, moment: &mut Moment) -> Option<()> {
        let first = self.one_or_two()?;
        let separator = self.separator(b"-/. ")?;
        if self.peek().is_ascii_alphabetic() {
            let month = self.month()?;
            self.expect(separator)?;
            moment.year = Some(self.four()?);
            moment.month_and_day = Some((month, first));
            self.separator(b" :T")?;
            return self.clock(moment);
        }
        if separator == b' ' {
            return None;
        }
        let second = self.two()?;
        if self.peek() == b' ' && matches!(separator, b'-' | b'.') {
            self.at += 1;
            moment.month_and_day = Some((first, second));
            return self.clock(moment);
        }
        self.expect(separator)?;
        if self.digits_ahead() == 4 {
            // Month first, as Americans do, unless the first number cannot be a month or points separate.
            moment.month_and_day =
                Some(if first > 12 || separator == b'.' { (second, first) } else { (first, second) });
            moment.year = Some(self.four()?);
        } else {
            moment.month_and_day = Some((second, self.two()?));
            moment.year = Some(2000 + i16::from(first));
        }
        self.separator(b" ,T")?;
        if self.peek() == b' ' {
            self.at += 1;
        }
        self.clock(moment)
    }

    /// A time that begins with a month or a weekday: `Jan  5 10:30:45`, `Jan 15, 2024 10:30:45 AM`,
    /// `Mon Jan 15 10:30:45.123 UTC 2024`, `Mon, 15 Jan 2024 10:30:45 GMT`.
    fn named(&mut self) -> Option<Moment> {
        let mut moment = Moment::default();
        let weekday = self.weekday();
        if weekday {
            self.at += 3;
            if self.peek() == b',' {
                self.at += 1;
            }
            self.expect(b' ')?;
            if self.peek().is_ascii_digit() {
                self.day_first(&mut moment)?;
                return Some(moment);
            }
        }
        let month = self.month()?;
        self.expect(b' ')?;
        if self.peek() == b' ' {
            self.at += 1;
        }
        moment.month_and_day = Some((month, self.one_or_two()?));
        let comma = self.separator(b",").is_some();
        self.expect(b' ')?;
        if self.digits_ahead() == 4 {
            moment.year = Some(self.four()?);
            self.expect(b' ')?;
        } else if comma {
            return None;
        }
        self.clock(&mut moment)?;
        if weekday && moment.year.is_none() && self.peek() == b' ' && self.ahead(1).is_ascii_digit() {
            let before = self.at;
            self.at += 1;
            if self.digits_ahead() == 4 {
                moment.year = Some(self.four()?);
            } else {
                self.at = before;
            }
        }
        Some(moment)
    }

    fn weekday(&self) -> bool {
        let name = self.bytes.get(self.at..self.at + 3).unwrap_or_default();
        matches!(name, b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun")
            && matches!(self.ahead(3), b' ' | b',')
    }

    fn month(&mut self) -> Option<i8> {
        let month = match self.bytes.get(self.at..self.at + 3)? {
            b"Jan" => 1,
            b"Feb" => 2,
            b"Mar" => 3,
            b"Apr" => 4,
            b"May" => 5,
            b"Jun" => 6,
            b"Jul" => 7,
            b"Aug" => 8,
            b"Sep" => 9,
            b"Oct" => 10,
            b"Nov" => 11,
            b"Dec" => 12,
            _ => return None,
        };
        self.at += 3;
        Some(month)
    }

    /// Hour to zone. Seconds may be absent before AM and PM only.
    fn clock(&mut self, moment: &mut Moment) -> Option<()> {
        if self.digits_ahead() == 6 {
            (moment.hour, moment.minute, moment.second) = (self.two()?, self.two()?, self.two()?);
        } else {
            moment.hour = self.one_or_two()?;
            let separator = self.separator(b":.")?;
            moment.minute = self.one_or_two()?;
            if self.peek() == separator {
                self.at += 1;
                moment.second = self.one_or_two()?;
            } else if !(self.half_day(0) || self.half_day(1)) {
                return None;
            }
        }
        if moment.hour > 24 || moment.minute > 59 || moment.second > 60 {
            return None;
        }
        if matches!(self.peek(), b'.' | b',' | b':') && self.ahead(1).is_ascii_digit() {
            self.at += 1;
            let digits = self.digits_ahead();
            moment.nanosecond = nanoseconds(self.bytes.get(self.at..self.at + digits).unwrap_or_default());
            self.at += digits;
        }
        let space = usize::from(self.peek() == b' ');
        if self.half_day(space) {
            let afternoon = self.ahead(space) == b'P';
            moment.hour = moment.hour % 12 + if afternoon { 12 } else { 0 };
            self.at += space + 2;
        }
        self.zone(moment);
        Some(())
    }

    /// Whether AM or PM stands that far ahead, as a whole word.
    fn half_day(&self, distance: usize) -> bool {
        matches!(self.ahead(distance), b'A' | b'P')
            && self.ahead(distance + 1) == b'M'
            && !self.ahead(distance + 2).is_ascii_alphanumeric()
    }

    /// `Z`, `+01`, `+0100`, `+01:00`, ` +0100`, ` UTC`: read where there is one.
    fn zone(&mut self, moment: &mut Moment) {
        if self.peek() == b'Z' {
            self.at += 1;
            moment.offset = Some(0);
            return;
        }
        let start = self.at;
        let space = self.peek() == b' ';
        self.at += usize::from(space);
        let zone = match self.peek() {
            b'+' | b'-' => self.numeric_zone(space),
            b'A'..=b'Z' if space => self.named_zone(),
            _ => None,
        };
        match zone {
            Some(offset) => moment.offset = Some(offset),
            None => self.at = start,
        }
    }

    fn numeric_zone(&mut self, space: bool) -> Option<i32> {
        let west = self.separator(b"+-")? == b'-';
        let hours = i32::from(self.two()?);
        let colon = self.separator(b":").is_some();
        let minutes = match self.two() {
            Some(minutes) => i32::from(minutes),
            // After a space only the full form is a zone: "10:30:45 -5 files" is not.
            None if colon || space => return None,
            None => 0,
        };
        let end = !self.peek().is_ascii_alphanumeric();
        let seconds = hours * 3600 + minutes * 60;
        (end && hours < 19 && minutes < 60).then_some(if west { -seconds } else { seconds })
    }

    /// Abbreviations with one usual meaning. All are in capitals, as levels are: hence a closed list.
    fn named_zone(&mut self) -> Option<i32> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
        let quarters = match rest.get(..length)? {
            b"UTC" | b"GMT" | b"Z" | b"WET" => 0,
            b"CET" | b"BST" | b"WEST" => 4,
            b"CEST" | b"EET" | b"SAST" => 8,
            b"EEST" | b"MSK" => 12,
            b"IST" => 22,
            b"HKT" | b"SGT" | b"AWST" => 32,
            b"JST" | b"KST" => 36,
            b"AEST" => 40,
            b"AEDT" => 44,
            b"NZST" => 48,
            b"BRT" => -12,
            b"EDT" => -16,
            b"EST" | b"CDT" => -20,
            b"CST" | b"MDT" => -24,
            b"MST" | b"PDT" => -28,
            b"PST" => -32,
            _ => return None,
        };
        self.at += length;
        (!self.peek().is_ascii_alphanumeric()).then_some(quarters * 900)
    }

    fn epoch(&mut self) -> Option<Moment> {
        let digits = self.digits_ahead();
        let text = str::from_utf8(self.bytes.get(self.at..self.at + digits)?).ok()?;
        let mut instant = Timestamp::from_second(text.get(..10)?.parse().ok()?).ok()?;
        self.at += digits;
        let mut fraction = nanoseconds(text.as_bytes().get(10..)?);
        if self.peek() == b'.' {
            self.at += 1;
            let digits = self.digits_ahead();
            fraction = nanoseconds(self.bytes.get(self.at..self.at + digits)?);
            self.at += digits;
        }
        instant = instant.checked_add(SignedDuration::new(0, fraction)).ok()?;
        let at = Offset::UTC.to_datetime(instant);
        Some(Moment {
            year: Some(at.year()),
            month_and_day: Some((at.month(), at.day())),
            hour: at.hour(),
            minute: at.minute(),
            second: at.second(),
            nanosecond: at.subsec_nanosecond(),
            offset: Some(0),
        })
    }
}

/// The digits after a decimal point as nanoseconds; digits past the ninth are dropped.
fn nanoseconds(digits: &[u8]) -> i32 {
    let mut scale = 100_000_000;
    let mut sum = 0;
    for digit in digits.iter().take(9).take_while(|byte| byte.is_ascii_digit()) {
        sum += i32::from(digit - b'0') * scale;
        scale /= 10;
    }
    sum
}
