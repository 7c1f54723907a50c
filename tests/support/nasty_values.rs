//! Values that break naive writers of unit files: those that a container must get byte for byte, and those that
//! must be refused because no form carries them.

#![allow(dead_code, reason = "each test takes the part it needs")]

/// A value and the name it goes by in a variable and in a failing test.
pub type Nasty = (&'static str, String);

/// What a container must receive exactly as it is.
pub fn carried() -> Vec<Nasty> {
    let short = SHORT.iter().map(|(name, value)| (*name, (*value).to_owned()));
    short.chain(long()).collect()
}

/// Values of more bytes than a page; the last two are near what one string of a process can be.
pub fn long() -> Vec<Nasty> {
    vec![
        ("LONG_PEM", format!("-----BEGIN KEY-----\n{}-----END KEY-----\n", "MIIEvQ+/=0\n".repeat(500))),
        ("LONG_PLAIN", "0123456789abcdef".repeat(6_400)),
        ("LONG_ESCAPED", "\"\\$%\n\u{1b}".repeat(17_000)),
    ]
}

/// What must be refused with a word about the cause.
pub const REFUSED: [(&str, &str); 7] = [
    ("CRLF", "one\r\ntwo"),
    ("CRLF_AT_END", "one\r\n"),
    ("CRLF_INJECTION", "x\r\n[Service]\r\nExecStartPre=/bin/touch /tmp/owned"),
    ("NUL", "a\0b"),
    ("C1_PADDING", "a\u{80}b"),
    ("NONCHARACTER_FFFE", "a\u{fffe}b"),
    ("NONCHARACTER_FDD0", "a\u{fdd0}b"),
];

/// Short values that a container must receive exactly as they are.
pub const SHORT: [(&str, &str); 72] = [
    ("EMPTY", ""),
    ("BLANK", " "),
    ("BLANKS", "   "),
    ("LEADING_BLANKS", "  leading"),
    ("TRAILING_BLANKS", "trailing  "),
    ("TAB", "\t"),
    ("TABS_AROUND", "\ta\tb\t"),
    ("DOUBLE_QUOTE", "\""),
    ("DOUBLE_QUOTED", "\"quoted\""),
    ("DOUBLE_QUOTE_IN_FRONT", "\"a"),
    ("DOUBLE_QUOTE_AT_END", "a\""),
    ("SINGLE_QUOTE", "'"),
    ("SINGLE_QUOTED", "'quoted'"),
    ("APOSTROPHE", "it's"),
    ("MIXED_QUOTES", "a\"b'c`d\"\"e''"),
    ("BACKTICK", "`id`"),
    ("DOLLAR", "$"),
    ("DOLLARS", "$$"),
    ("DOLLAR_HOME", "$HOME"),
    ("DOLLAR_WORD", "a $HOME b"),
    ("DOLLAR_BRACES", "${HOME}"),
    ("DOLLAR_DEFAULT", "${HOME:-x} ${X:?y} ${PATH}"),
    ("DOLLAR_COMMAND", "$(id)"),
    ("DOLLAR_ESCAPED", "\\$HOME \\x24HOME"),
    ("PERCENT", "%"),
    ("PERCENTS", "%%"),
    ("PERCENT_N", "%n"),
    ("PERCENT_UNKNOWN", "100%z %% %"),
    ("PERCENT_ESCAPED", "\\x25n"),
    ("PERCENT_ENCODED", "postgres://u:p%40ss@db/x?y=%20"),
    ("BACKSLASH", "\\"),
    ("BACKSLASHES", "\\\\"),
    ("BACKSLASH_AT_END", "a\\"),
    ("BACKSLASH_BEFORE_BLANK", "a\\ b"),
    ("BACKSLASH_N", "a\\nb"),
    ("BACKSLASH_UNKNOWN", "\\q \\d+ \\s"),
    ("BACKSLASH_HEX", "\\x41 \\101 \\u0041 \\U00000041"),
    ("BACKSLASH_QUOTE", "\\\""),
    ("WINDOWS_PATH", "C:\\new\\table\\"),
    ("NEWLINE", "\n"),
    ("NEWLINES", "one\ntwo\n\nthree"),
    ("NEWLINE_IN_FRONT", "\na"),
    ("NEWLINE_AT_END", "a\n"),
    ("CR", "\r"),
    ("CR_INSIDE", "a\rb"),
    ("CR_AT_END", "a\r"),
    ("LF_CR", "a\n\rb"),
    ("INJECTED_SECTION", "x\n[Service]\nExecStartPre=/bin/touch /tmp/owned"),
    ("INJECTED_KEY", "x\nPodmanArgs=--privileged"),
    ("INJECTED_BY_BACKSLASH", "x\\\nExecStartPre=/bin/touch /tmp/owned"),
    ("INJECTED_OPTION", "--privileged"),
    ("SECTION", "[Service]"),
    ("SEMICOLON", ";"),
    ("SEMICOLONS", "a ; b \\; c"),
    ("HASH", "# not a comment"),
    ("EQUALS", "=a=b="),
    ("COMMA", "a,b,c"),
    ("GLOB", "*?[a-z]{1,2}~"),
    ("SHELL", "a; touch /x && id | cat > /y < /z & !"),
    ("JSON", "{\"a\": [1, \"b\\n\\\"c\\\"\"], \"$d\": \"%e\"}"),
    ("ESCAPE", "\u{1b}[31mred\u{1b}[0m"),
    ("CONTROLS", "\u{1}\u{2}\u{7}\u{8}\u{b}\u{c}\u{e}\u{1f}\u{7f}"),
    ("UMLAUTS", "äöüß é ñ"),
    ("EMOJI", "🦀👩‍👩‍👧"),
    ("COMBINING", "e\u{301}"),
    ("RIGHT_TO_LEFT", "\u{202e}abc\u{202c} שלום"),
    ("C1_CONTROLS", "\u{81}\u{85}\u{9b}\u{9f}"),
    ("UNICODE_BLANKS", "\u{a0}a\u{2003}\u{3000}"),
    ("UNICODE_LINES", "a\u{2028}b\u{2029}c"),
    ("BYTE_ORDER_MARK", "\u{feff}a"),
    ("PRIVATE_USE", "\u{e000}\u{10fffd}"),
    ("REPLACEMENT", "\u{fffd}"),
];
