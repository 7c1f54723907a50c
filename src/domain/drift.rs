//! Unit files that rivetr wrote and somebody changed by hand: what is known of such a file, and what was decided.

/// The SHA-256 of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextDigest(pub [u8; 32]);

/// What is known of a unit file that rivetr wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenUnit {
    /// Where it lies, below the directories of units: `app-blog/rivetr-app-blog-7.container`.
    pub path: String,
    /// The folder of its owner: `app-blog`.
    pub owner: String,
    /// What was last written; none: nothing yet.
    pub written: Option<TextDigest>,
    /// What is being written.
    pub coming: Option<TextDigest>,
    /// What was decided of a change by hand.
    pub verdict: Option<Verdict>,
}

/// What somebody did to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It says something else.
    Edited,
    /// It is gone.
    Removed,
}

/// That a changed file stays as it is, for as long as neither it nor what rivetr would write is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How it was decided.
    pub kept: Kept,
    /// The text that it was about; none: the file was gone.
    pub there: Option<TextDigest>,
    /// What rivetr would have written; none: that could not be told.
    pub wanted: Option<TextDigest>,
}

/// How it was decided that a changed file stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is what is wanted.
    Adopted,
    /// It is nobody's concern.
    Ignored,
}

impl WrittenUnit {
    /// What somebody did to the file, by what is there now.
    #[must_use]
    pub fn change(&self, there: Option<TextDigest>) -> Option<Change> {
        match there {
            Some(there) => {
                // Whoever dies between writing and noting it leaves one of the two.
                let ours = [self.written, self.coming].contains(&Some(there));
                (!ours).then_some(Change::Edited)
            }
            None => self.written.map(|_| Change::Removed),
        }
    }

    /// What was decided of this very change, if anything was.
    #[must_use]
    pub fn settled(&self, there: Option<TextDigest>, wanted: Option<TextDigest>) -> Option<Kept> {
        let verdict = self.verdict?;
        (verdict.there == there && verdict.wanted == wanted).then_some(verdict.kept)
    }
}

impl Change {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Removed => "removed",
        }
    }
}

impl Kept {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adopted => "adopted",
            Self::Ignored => "ignored",
        }
    }

    /// What a word means.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Adopted, Self::Ignored].into_iter().find(|kept| kept.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: u8) -> TextDigest {
        TextDigest([of; 32])
    }

    #[test]
    fn only_what_rivetr_did_not_write_is_a_change() {
        let check = |written: Option<u8>, coming: Option<u8>, there: Option<u8>, expect| {
            let unit = WrittenUnit {
                path: "app-blog/rivetr-app-blog-1.container".to_owned(),
                owner: "app-blog".to_owned(),
                written: written.map(digest),
                coming: coming.map(digest),
                verdict: None,
            };
            assert_eq!(unit.change(there.map(digest)), expect, "{written:?} {coming:?} {there:?}");
        };
        check(Some(1), None, Some(1), None);
        check(Some(1), None, Some(2), Some(Change::Edited));
        check(Some(1), None, None, Some(Change::Removed));
        check(Some(1), Some(2), Some(2), None);
        check(Some(1), Some(2), Some(1), None);
        check(Some(1), Some(2), Some(3), Some(Change::Edited));
        check(None, Some(2), None, None);
        check(None, Some(2), Some(2), None);
    }

    #[test]
    fn a_verdict_holds_until_a_side_changes() {
        let verdict = Verdict { kept: Kept::Ignored, there: Some(digest(2)), wanted: Some(digest(1)) };
        let unit = WrittenUnit {
            path: String::new(),
            owner: String::new(),
            written: Some(digest(1)),
            coming: None,
            verdict: Some(verdict),
        };
        assert_eq!(unit.settled(Some(digest(2)), Some(digest(1))), Some(Kept::Ignored));
        for (there, wanted) in [(Some(3), Some(1)), (Some(2), Some(3)), (None, Some(1)), (Some(2), None)] {
            assert_eq!(unit.settled(there.map(digest), wanted.map(digest)), None);
        }
        assert_eq!(WrittenUnit { verdict: None, ..unit }.settled(Some(digest(2)), Some(digest(1))), None);
    }
}
