//! `strftime` for the time that the caller gives: a local wall clock without a zone, as datetime.now() has it.

/// A broken-down local time, as in C's `struct tm` but with the full year and months from 1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MlxsTime {
    pub year: i32,
    /// 1 to 12.
    pub month: i32,
    /// 1 to 31.
    pub day: i32,
    pub hour: i32,
    pub minute: i32,
    pub second: i32,
    pub microsecond: i32,
    /// 0 is Sunday.
    pub weekday: i32,
    /// 1 to 366.
    pub yearday: i32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// `strftime` in the C locale; an unknown directive is copied as it is.
pub fn format_time(format: &str, now: &MlxsTime) -> String {
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut flag = None;
        let mut directive = rest.next();
        if let Some(found @ ('-' | '_' | '0' | '^')) = directive {
            flag = Some(found);
            directive = rest.next();
        }
        match directive {
            Some(letter) => write_directive(letter, flag, now, &mut out),
            None => {
                out.push('%');
                out.extend(flag);
            }
        }
    }
    out
}

fn write_directive(letter: char, flag: Option<char>, now: &MlxsTime, out: &mut String) {
    let name = |names: &[&'static str], index: i32| -> &'static str {
        usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("?")
    };
    let number = |value: i32, width: usize, default_pad: char| match flag {
        Some('-') => value.to_string(),
        Some('_') => format!("{value:>width$}"),
        Some('0') => format!("{value:0>width$}"),
        _ if default_pad == ' ' => format!("{value:>width$}"),
        _ => format!("{value:0>width$}"),
    };
    let hour12 = (now.hour + 11).rem_euclid(12) + 1;
    let half = if now.hour < 12 { "AM" } else { "PM" };
    let monday_weekday = (now.weekday + 6).rem_euclid(7);
    let text = match letter {
        'Y' => number(now.year, 4, '0'),
        'y' => number(now.year.rem_euclid(100), 2, '0'),
        'C' => number(now.year.div_euclid(100), 2, '0'),
        'm' => number(now.month, 2, '0'),
        'd' => number(now.day, 2, '0'),
        'e' => number(now.day, 2, ' '),
        'H' => number(now.hour, 2, '0'),
        'I' => number(hour12, 2, '0'),
        'k' => number(now.hour, 2, ' '),
        'l' => number(hour12, 2, ' '),
        'M' => number(now.minute, 2, '0'),
        'S' => number(now.second, 2, '0'),
        'f' => format!("{:06}", now.microsecond),
        'j' => number(now.yearday, 3, '0'),
        'U' => number((now.yearday + 6 - now.weekday).div_euclid(7), 2, '0'),
        'W' => number((now.yearday + 6 - monday_weekday).div_euclid(7), 2, '0'),
        'w' => now.weekday.to_string(),
        'u' => (monday_weekday + 1).to_string(),
        'B' => name(&MONTHS, now.month - 1).to_string(),
        'b' | 'h' => name(&MONTHS, now.month - 1).chars().take(3).collect(),
        'A' => name(&DAYS, now.weekday).to_string(),
        'a' => name(&DAYS, now.weekday).chars().take(3).collect(),
        'p' => half.to_string(),
        'P' => half.to_lowercase(),
        'D' | 'x' => format_time("%m/%d/%y", now),
        'F' => format_time("%Y-%m-%d", now),
        'T' | 'X' => format_time("%H:%M:%S", now),
        'R' => format_time("%H:%M", now),
        'r' => format_time("%I:%M:%S %p", now),
        'c' => format_time("%a %b %e %H:%M:%S %Y", now),
        'n' => "\n".to_string(),
        't' => "\t".to_string(),
        '%' => "%".to_string(),
        // The time has no zone.
        'z' | 'Z' => String::new(),
        other => {
            out.push('%');
            out.extend(flag);
            out.push(other);
            return;
        }
    };
    out.push_str(&if flag == Some('^') { text.to_uppercase() } else { text });
}
