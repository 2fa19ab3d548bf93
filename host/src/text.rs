//! Text that somebody else wrote, made safe to show.

/// `text` with everything that could steer a terminal, or hide, written out as an escape.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        if is_plain(char) {
            safe.push(char);
        } else {
            safe.extend(char.escape_default());
        }
    }
    safe
}

/// `text` with everything that means something in Markdown or HTML written out.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' => {
                safe.push('\\');
                safe.push(char);
            }
            _ => safe.push(char),
        }
    }
    safe
}

/// Whether a character shows as itself and does nothing else.
fn is_plain(char: char) -> bool {
    let steers = char.is_control()
        || matches!(char,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !steers
}

/// The text in bytes that were no frame, if they look like text a person could have meant to read.
#[must_use]
pub fn printed(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // Cut within a character, perhaps.
        Err(error) if error.valid_up_to() + 4 > bytes.len() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let text = text.trim();
    let readable = |c: char| is_plain(c) || matches!(c, '\r' | '\n' | '\t' | '\u{1b}');
    let long_enough = text.chars().filter(|c| c.is_alphanumeric()).count() >= 4;
    (long_enough && text.chars().all(readable)).then(|| escaped(text))
}

/// `count` of something, in words: `1 window`, `3 windows`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_written_out() {
        assert_eq!(escaped("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(escaped("µs \u{202e}gnp"), "µs \\u{202e}gnp");
    }

    #[test]
    fn markdown_shows_what_it_is_given() {
        assert_eq!(markdown("<b>|a_b|"), "&lt;b>\\|a\\_b\\|");
    }

    #[test]
    fn a_login_prompt_is_text_and_noise_is_not() {
        assert_eq!(
            printed(b"\r\nDebian GNU/Linux 13 rpi ttyS0\r\n\r\nrpi login: ").as_deref(),
            Some("Debian GNU/Linux 13 rpi ttyS0\\r\\n\\r\\nrpi login:")
        );
        assert_eq!(printed(&[0x91, 0x02, 0xfe, 0x41, 0x42, 0x43, 0x44]), None);
        assert_eq!(printed(b"\x02\x03abcdefgh"), None);
        assert_eq!(printed(b"??"), None);
    }
}
