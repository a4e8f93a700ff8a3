//! Times as people write them, and as they are told to people.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::api::{Lifetime, PASS_LIFETIMES};

const LIFETIME_FORMS: &str = "write 90m, 2h, 1h30m or 1d (10m to 720h)";
const START_FORMS: &str = "write tomorrow 8:00, mon 8:00, 14:30, in 2h, 2026-11-30 08:00 (your local time), or \
    2026-11-30T08:00:00+01:00";

/// The days of the week.
const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// What time it is, and where.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Now.
    pub now: Timestamp,
    /// The zone of local times.
    pub zone: TimeZone,
}

impl Clock {
    /// The time and zone of this machine.
    pub fn system() -> Self {
        Self { now: Timestamp::now(), zone: TimeZone::system() }
    }

    /// Reads a lifetime.
    pub fn lifetime(text: &str) -> Result<Lifetime, String> {
        let minutes =
            minutes(text).ok_or_else(|| format!("{text:?} is no lifetime: {LIFETIME_FORMS}"))?;
        if !PASS_LIFETIMES.contains(&minutes) {
            let read = Lifetime::from_minutes(minutes);
            return Err(format!("a pass lasts 10m to 720h, not {read}"));
        }
        Ok(Lifetime::from_minutes(minutes))
    }

    /// Reads when something starts.
    pub fn start(&self, text: &str) -> Result<Timestamp, String> {
        // White space may be control characters, and messages repeat the text.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let start = match text.parse::<Timestamp>() {
            Ok(start) => start,
            Err(_) => self.local(&text.to_lowercase())?,
        };
        if start <= self.now {
            return Err(format!("{text:?} is {}, which is over", self.told(start)));
        }
        // Whole seconds: nobody means more.
        Timestamp::from_second(start.as_second()).map_err(|error| error.to_string())
    }

    fn local(&self, text: &str) -> Result<Timestamp, String> {
        let unclear = || match text {
            "now" => "a pass is valid from when it is issued: leave out --at".to_owned(),
            text if minutes(text).is_some() => format!("{text:?} is no time: write in {text}"),
            text if date(text, self.today()).is_some() => {
                format!("{text:?} has no hour: write {text} 8:00")
            }
            _ => format!("{text:?} is no time: {START_FORMS}"),
        };
        if let Some(later) = text.strip_prefix("in ").or_else(|| text.strip_prefix('+')) {
            let minutes = minutes(later).ok_or_else(unclear)?;
            let later = SignedDuration::from_mins(i64::from(minutes));
            return self.now.checked_add(later).map_err(|error| error.to_string());
        }
        let today = self.today();
        let words: Vec<&str> = text.split_whitespace().collect();
        let when = match words.as_slice() {
            [day, time] => {
                let date = date(day, today).ok_or_else(unclear)?;
                DateTime::from_parts(date, clock_time(time).ok_or_else(unclear)?)
            }
            [one] => match (one.split_once('t'), clock_time(one)) {
                (_, Some(time)) => {
                    let at = DateTime::from_parts(today, time);
                    if self.zoned(at)? > self.now {
                        at
                    } else {
                        at.tomorrow().map_err(|error| error.to_string())?
                    }
                }
                (Some((date, time)), None) => {
                    let date: Date = date.parse().map_err(|_| unclear())?;
                    DateTime::from_parts(date, clock_time(time).ok_or_else(unclear)?)
                }
                (None, None) => return Err(unclear()),
            },
            _ => return Err(unclear()),
        };
        self.zoned(when)
    }

    fn today(&self) -> Date {
        self.now.to_zoned(self.zone.clone()).date()
    }

    /// A local time as a point in time. An hour that the change of clocks leaves out or repeats is none.
    fn zoned(&self, when: DateTime) -> Result<Timestamp, String> {
        self.zone.to_ambiguous_timestamp(when).unambiguous().map_err(|_| {
            format!(
                "{} {:02}:{:02} exists twice or not at all, because clocks change: write it with its offset, such as {when}+01:00",
                when.date(), when.hour(), when.minute()
            )
        })
    }

    /// A time in full: `2026-11-30 08:00 +01:00 (in 14h)`.
    pub fn told(&self, at: Timestamp) -> String {
        format!("{} ({})", self.absolute(at), self.relative(at))
    }

    /// Local date and time with the offset: `2026-11-30 08:00 +01:00`.
    pub fn absolute(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M %:z").to_string()
    }

    /// `in 14h`, or `3m ago`.
    pub fn relative(&self, at: Timestamp) -> String {
        let seconds = at.as_second() - self.now.as_second();
        match seconds {
            0 => "now".to_owned(),
            1.. => format!("in {}", long(seconds)),
            _ => format!("{} ago", long(-seconds)),
        }
    }
}

/// How long a command waits: `30s`, `5m`, `1h30m`.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "write a duration such as 30s, 5m or 1h30m".to_owned())?;
    if duration.is_positive() { Ok(duration) } else { Err("it must be longer than zero".into()) }
}

/// How long one call may take, as kubectl reads it: a number alone is in seconds, and zero is no limit.
pub fn limit(text: &str) -> Result<SignedDuration, String> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(SignedDuration::from_secs(seconds.into()));
    }
    let limit: SignedDuration =
        text.parse().map_err(|_| "write a duration such as 30s or 5m, or 0".to_owned())?;
    if limit.is_negative() { Err("it must not be negative".into()) } else { Ok(limit) }
}

/// A number of seconds as people say it, in one or two units.
pub fn long(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{minutes}m"),
        7200..36_000 if minutes % 60 != 0 => format!("{hours}h{}m", minutes % 60),
        7200..172_800 => format!("{hours}h"),
        172_800.. => format!("{days}d"),
    }
}

/// A duration of whole minutes; a day has 24 hours.
fn minutes(text: &str) -> Option<u32> {
    let text = text.trim();
    // With units, and nothing but a number with a unit can begin it.
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let span: Span = text.parse().ok()?;
    if span.get_months() != 0 || span.get_years() != 0 || span.is_negative() {
        return None;
    }
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let whole = duration.as_secs() % 60 == 0 && duration.subsec_nanos() == 0;
    whole.then(|| (duration.as_secs() / 60).try_into().ok())?
}

/// `8:00`, `14:30`.
fn clock_time(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let mut number = |digits: std::ops::RangeInclusive<usize>| {
        let part = parts.next()?;
        let plain = digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<i8>().ok())?
    };
    let (hour, minute) = (number(1..=2)?, number(2..=2)?);
    let second = if text.matches(':').count() == 2 { number(2..=2)? } else { 0 };
    parts.next().is_none().then(|| Time::new(hour, minute, second, 0).ok())?
}

/// `today`, `tomorrow`, a day of the week after today, or a date.
fn date(text: &str, today: Date) -> Option<Date> {
    match text {
        "today" => return Some(today),
        "tomorrow" => return today.tomorrow().ok(),
        _ => {}
    }
    let day = DAYS.iter().find(|(name, _)| text.len() >= 3 && name.starts_with(text));
    match day {
        Some((_, day)) => today.nth_weekday(1, *day).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday, at 18:30 in Berlin.
    fn berlin() -> Clock {
        Clock {
            now: "2026-11-29T17:30:00Z".parse().unwrap(),
            zone: TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(),
        }
    }

    #[test]
    fn lifetimes_are_read_as_people_write_them() {
        for (text, read) in [
            ("2h", "2h"),
            ("90m", "1h30m"),
            ("1d", "24h"),
            ("1h30m", "1h30m"),
            ("1h 30m", "1h30m"),
            ("2 hours", "2h"),
            ("1d12h", "36h"),
            ("720h", "720h"),
            ("30d", "720h"),
            ("1w", "168h"),
            ("600s", "10m"),
        ] {
            assert_eq!(Clock::lifetime(text).map(|l| l.to_string()), Ok(read.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_lifetime_is_refused_with_the_forms() {
        for text in
            ["", "2", "h", "-2h", "2h ago", "1.5x", "90", "61s", "P1M", "tomorrow", "1mo", "1y"]
        {
            let error = Clock::lifetime(text).unwrap_err();
            assert!(error.contains("write 90m, 2h"), "{text}: {error}");
        }
        for text in ["9m", "721h", "31d"] {
            let error = Clock::lifetime(text).unwrap_err();
            assert!(error.contains("10m to 720h, not"), "{text}: {error}");
        }
    }

    #[test]
    fn starts_are_read_as_people_write_them() {
        for (text, read) in [
            ("2026-12-01T08:00:00Z", "2026-12-01T08:00:00Z"),
            ("2026-12-01T08:00:00+01:00", "2026-12-01T07:00:00Z"),
            ("2026-12-01 08:00", "2026-12-01T07:00:00Z"),
            ("2026-12-01T08:00", "2026-12-01T07:00:00Z"),
            ("2026-12-01 08:00:30", "2026-12-01T07:00:30Z"),
            ("tomorrow 8:00", "2026-11-30T07:00:00Z"),
            ("Tomorrow 08:00", "2026-11-30T07:00:00Z"),
            ("today 20:00", "2026-11-29T19:00:00Z"),
            ("20:00", "2026-11-29T19:00:00Z"),
            // Over for today.
            ("8:00", "2026-11-30T07:00:00Z"),
            ("mon 8:00", "2026-11-30T07:00:00Z"),
            ("monday 8:00", "2026-11-30T07:00:00Z"),
            // The next one, not today.
            ("sunday 20:00", "2026-12-06T19:00:00Z"),
            ("in 2h", "2026-11-29T19:30:00Z"),
            ("+90m", "2026-11-29T19:00:00Z"),
            // In summer time.
            ("2027-07-01 08:00", "2027-07-01T06:00:00Z"),
        ] {
            let read: Timestamp = read.parse().unwrap();
            assert_eq!(berlin().start(text), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_is_no_start_is_refused_with_the_forms() {
        for text in [
            "",
            "soon",
            "8",
            "25:00",
            "8:60",
            "8:0",
            "mo 8:00",
            "tomorrow 8",
            "08:00 tomorrow x",
            "in 2",
        ] {
            let error = berlin().start(text).unwrap_err();
            assert!(error.contains("write tomorrow 8:00"), "{text}: {error}");
        }
        for (text, remedy) in [
            ("now", "leave out --at"),
            ("2h", "write in 2h"),
            ("tomorrow", "write tomorrow 8:00"),
            ("2026-12-01", "write 2026-12-01 8:00"),
            // White space may be anything, and is not repeated.
            ("13\n\u{c}\u{c}h", "write in 13 h"),
        ] {
            let error = berlin().start(text).unwrap_err();
            assert!(error.contains(remedy), "{text}: {error}");
        }
        for text in ["2026-11-29T17:30:00Z", "today 8:00", "2020-01-01 08:00"] {
            let error = berlin().start(text).unwrap_err();
            assert!(error.contains("which is over"), "{text}: {error}");
        }
    }

    #[test]
    fn an_hour_that_clocks_skip_or_repeat_is_no_time() {
        for text in ["2027-03-28 02:30", "2027-10-31 02:30"] {
            let error = berlin().start(text).unwrap_err();
            assert!(error.contains("exists twice or not at all"), "{text}: {error}");
        }
    }

    #[test]
    fn times_are_told_with_their_offset_and_how_far_they_are() {
        let clock = berlin();
        let told = |text: &str| clock.told(text.parse().unwrap());
        assert_eq!(told("2026-11-29T19:00:00Z"), "2026-11-29 20:00 +01:00 (in 90m)");
        assert_eq!(told("2026-11-29T17:29:30Z"), "2026-11-29 18:29 +01:00 (30s ago)");
        assert_eq!(told("2026-11-29T17:30:00Z"), "2026-11-29 18:30 +01:00 (now)");
        assert_eq!(told("2027-07-01T06:00:00Z"), "2027-07-01 08:00 +02:00 (in 213d)");
    }

    #[test]
    fn the_limit_of_a_call_is_read_as_kubectl_reads_it() {
        for (text, seconds) in [("0", 0), ("0s", 0), ("30", 30), ("10s", 10), ("2m", 120)] {
            assert_eq!(limit(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        assert!(limit("-1s").is_err() && limit("soon").is_err());
        assert!(duration("0").is_err(), "who waits for something waits longer than that");
    }

    #[test]
    fn durations_have_one_or_two_units() {
        for (seconds, text) in [
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (7199, "119m"),
            (7200, "2h"),
            (12_000, "3h20m"),
            (40_000, "11h"),
            (172_799, "47h"),
            (172_800, "2d"),
        ] {
            assert_eq!(long(seconds), text);
        }
    }
}
