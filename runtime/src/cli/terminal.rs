//! The terminal that somebody looks at: its size, and text that does nothing to it.

/// Of the terminal, in columns and lines.
pub(super) fn size() -> (usize, usize) {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointer is to a winsize that lives through the call, which only writes it.
    let code = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    match (code, size.ws_col, size.ws_row) {
        (0, 1.., 2..) => (size.ws_col.into(), usize::from(size.ws_row) - 1),
        _ => (120, 40),
    }
}

/// Of any bytes, a line that does nothing to the terminal.
pub(super) fn plain(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_does_nothing_to_the_terminal() {
        assert_eq!(plain(b"{\n\"a\":\x1b[2J\r1}"), "{ \"a\": [2J 1}");
    }
}
