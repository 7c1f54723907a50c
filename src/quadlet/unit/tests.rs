//! No value escapes its line, and every value comes out of a model of the parsers as it went in.

mod model;
#[path = "../../../tests/support/nasty_values.rs"]
mod nasty_values;

use proptest::prelude::*;

use super::*;

/// One value put into a unit.
#[derive(Debug, Clone)]
enum Put {
    Scalar(Section, &'static str, String),
    Words(Section, &'static str, Vec<String>),
    Assignment(Section, &'static str, String, String),
}

impl Put {
    fn into_unit(self, unit: &mut Unit) -> Result<(), UnitTextError> {
        match self {
            Self::Scalar(section, key, value) => unit.section(section).scalar(key, &value),
            Self::Words(section, key, words) => {
                unit.section(section).words(key, words.iter().map(String::as_str))
            }
            Self::Assignment(section, key, name, value) => {
                unit.section(section).assignment(key, &name, &value)
            }
        }
        .map(drop)
    }

    fn place(&self) -> (Section, &'static str) {
        match self {
            Self::Scalar(section, key, _)
            | Self::Words(section, key, _)
            | Self::Assignment(section, key, ..) => (*section, key),
        }
    }

    /// Whether what the model reads of the unit's text is what was put in.
    fn comes_out_of(&self, text: &str) -> bool {
        let is_command = !matches!(
            self.place().0,
            Section::Unit | Section::Quadlet | Section::Service | Section::Timer | Section::Install
        );
        match self {
            Self::Scalar(_, _, value) => model::scalar(text, is_command).as_ref() == Some(value),
            Self::Words(_, _, words) => model::words(text, is_command).as_ref() == Some(words),
            Self::Assignment(_, _, name, value) => {
                model::words(text, is_command) == Some(vec![format!("{name}={value}")])
            }
        }
    }
}

fn environment(name: &str, value: &str) -> Put {
    Put::Assignment(Section::Container, "Environment", name.to_owned(), value.to_owned())
}

#[test]
fn nasty_values_survive() {
    for (name, value) in nasty_values::carried() {
        let put = environment(name, &value);
        let mut unit = Unit::default();
        put.clone().into_unit(&mut unit).unwrap();
        let entries = model::entries(&unit.to_string());
        assert_eq!(entries.len(), 1, "{name}");
        assert!(put.comes_out_of(&entries[0].2), "{name}: {:.200}", entries[0].2);
    }
}

#[test]
fn what_cannot_be_carried_is_refused_without_being_shown() {
    for (name, value) in nasty_values::REFUSED {
        let error = environment(name, value).into_unit(&mut Unit::default()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("Environment {name} cannot be written into a unit: it holds")));
        assert!(!error.contains(value), "{error}");
    }
}

#[test]
fn a_key_read_as_it_stands_refuses_what_it_would_change() {
    for (value, problem) in [
        ("", ValueProblem::Empty),
        ("a\nb", ValueProblem::Control),
        ("a\tb", ValueProblem::Control),
        ("a\u{85}b", ValueProblem::Control),
        (" a", ValueProblem::OuterBlank),
        ("a ", ValueProblem::OuterBlank),
        ("\"a", ValueProblem::OuterQuote),
        ("a\"", ValueProblem::OuterQuote),
        ("a\\", ValueProblem::TrailingBackslash),
        ("a\0", ValueProblem::Nul),
        ("\u{1fffe}", ValueProblem::Unreadable),
    ] {
        let put = Put::Scalar(Section::Container, "Image", value.to_owned());
        assert_eq!(put.into_unit(&mut Unit::default()).unwrap_err().problem, problem, "{value:?}");
    }
}

#[test]
fn words_that_would_drop_others_are_refused() {
    for (words, problem) in [
        (&["a", "", "b"][..], ValueProblem::EmptyWord),
        (&["a", ";", "b"], ValueProblem::Semicolon),
        (&["a", "\\;"], ValueProblem::Semicolon),
        (&[], ValueProblem::Empty),
    ] {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let put = Put::Words(Section::Container, "Exec", words);
        assert_eq!(put.into_unit(&mut Unit::default()).unwrap_err().problem, problem);
    }
}

#[test]
fn names_of_assignments() {
    for bad in ["", "A=B", "A B", "A\nB", "A\tB"] {
        let error = environment(bad, "x").into_unit(&mut Unit::default()).unwrap_err();
        assert_eq!(error.problem, ValueProblem::Name, "{bad:?}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn escaping_depends_on_what_reads_the_key() {
    let mut unit = Unit::default();
    unit.section(Section::Unit).scalar("Description", "$5 is 100%").unwrap();
    unit.section(Section::Container).scalar("HostName", "$5 is 100%").unwrap();
    unit.section(Section::Container).raw("PodmanArgs", "--cidfile=%t/x").unwrap();
    assert_eq!(
        unit.to_string(),
        "[Unit]\nDescription=$5 is 100%%\n\n\
         [Container]\nHostName=$$5 is 100%%\nPodmanArgs=--cidfile=%t/x\n"
    );
}

#[test]
fn raw_text_cannot_leave_its_line_either() {
    for bad in ["a\nb", "a\\", "", "a\r"] {
        assert!(Unit::default().section(Section::Service).raw("Slice", bad).is_err(), "{bad:?}");
    }
}

#[test]
fn comments_and_order_are_kept() {
    let text = "# above\n; old\n\n[Unit]\n# why\nDescription=a\n\n[Service]\nRestart=always\nRestart=no\n";
    let unit = Unit::parse(text).unwrap();
    assert_eq!(unit.to_string(), text.replace("; old", "# old"));
    let keys: Vec<_> = unit.keys().collect();
    assert_eq!(
        keys,
        [(Section::Unit, "Description"), (Section::Service, "Restart"), (Section::Service, "Restart")]
    );
}

#[test]
fn what_cannot_be_read_is_named_with_its_line() {
    for (text, message) in [
        ("[Unit]\n\n[Unti]\n", "line 3: the section [Unti] is not one that rivetr writes"),
        ("[Unit]\n[Unit]\n", "line 2: the section [Unit] is there already; put its lines together"),
        ("A=b\n", "line 1: a key stands above the first section"),
        ("[Unit]\nrubbish\n", "line 2: it is neither a comment nor [Section] nor Key=value"),
        ("[Unit]\n=x\n", "line 2: it is neither a comment nor [Section] nor Key=value"),
        ("[Unit]\nA b=x\n", "line 2: it is neither a comment nor [Section] nor Key=value"),
        ("[Unit]\nA=b \\\nc\n", "line 2: it ends with a backslash; write it on one line"),
        ("# a\\\n", "line 1: it ends with a backslash; write it on one line"),
    ] {
        assert_eq!(Unit::parse(text).unwrap_err().to_string(), message);
    }
}

/// Text made of what parsers trip over, or any text at all.
fn text() -> impl Strategy<Value = String> {
    let traps = prop::sample::select(vec![
        "\n",
        "\r",
        "\r\n",
        "\t",
        " ",
        "\\",
        "\\n",
        "\\x24",
        "\"",
        "'",
        "`",
        "$",
        "$$",
        "$HOME",
        "${",
        "}",
        "%",
        "%%",
        "%n",
        "=",
        ";",
        "#",
        "[Service]",
        "ExecStartPre=/bin/x",
        "a",
        "Z",
        "é",
        "\u{1b}",
        "\u{7f}",
        "\0",
        "\u{80}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{fffe}",
    ]);
    prop_oneof![
        3 => prop::collection::vec(traps, 0..12).prop_map(|parts| parts.concat()),
        1 => any::<String>(),
    ]
}

fn put() -> impl Strategy<Value = Put> {
    let section = || prop::sample::select(Section::ALL.to_vec());
    let key = || prop::sample::select(vec!["Image", "Exec", "Environment", "Label", "X-Key"]);
    prop_oneof![
        (section(), key(), text()).prop_map(|(section, key, value)| Put::Scalar(section, key, value)),
        (section(), key(), prop::collection::vec(text(), 0..4))
            .prop_map(|(section, key, words)| Put::Words(section, key, words)),
        (section(), key(), text(), text())
            .prop_map(|(section, key, name, value)| Put::Assignment(section, key, name, value)),
        (section(), key(), text()).prop_map(|(section, key, value)| Put::Assignment(
            section,
            key,
            "NAME".to_owned(),
            value
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_value_takes_one_line_of_its_section_and_comes_out_whole(puts in prop::collection::vec(put(), 0..6)) {
        let mut unit = Unit::default();
        let taken: Vec<Put> =
            puts.into_iter().filter(|put| put.clone().into_unit(&mut unit).is_ok()).collect();
        let entries = model::entries(&unit.to_string());
        prop_assert_eq!(entries.len(), taken.len());
        for section in Section::ALL {
            let of_section = |put: &&Put| put.place().0 == section;
            let read = entries.iter().filter(|(name, ..)| name == section.as_str());
            for (put, (_, key, text)) in taken.iter().filter(of_section).zip(read) {
                prop_assert_eq!(put.place().1, key);
                prop_assert!(put.comes_out_of(text), "{:?} became {}", put, text);
            }
        }
    }

    #[test]
    fn a_unit_is_read_as_it_was_printed(puts in prop::collection::vec(put(), 0..6)) {
        let mut unit = Unit::default();
        for put in puts {
            if let Err(refused) = put.into_unit(&mut unit) {
                prop_assert!(!refused.to_string().contains('\n'));
            }
        }
        let read = Unit::parse(&unit.to_string());
        prop_assert_eq!(read.as_ref(), Ok(&unit));
    }

    #[test]
    fn any_value_without_the_named_problems_is_carried(value in text()) {
        let outcome = environment("NAME", &value).into_unit(&mut Unit::default()).map_err(|error| error.problem);
        let noncharacter = |c: char| c == '\u{80}' || ('\u{fdd0}'..='\u{fdef}').contains(&c) || u32::from(c) % 0x1_0000 >= 0xfffe;
        let refusable = value.contains('\0') || value.contains("\r\n") || value.contains(noncharacter);
        prop_assert_eq!(outcome.is_err(), refusable);
    }

    #[test]
    fn reading_never_panics(text in ".{0,200}", lines in prop::collection::vec("[\\[\\]a-zA-Z=#;\\\\ ]{0,12}", 0..6)) {
        for text in [text, lines.join("\n")] {
            if let Ok(unit) = Unit::parse(&text) {
                prop_assert_eq!(Unit::parse(&unit.to_string()), Ok(unit));
            }
        }
    }
}
