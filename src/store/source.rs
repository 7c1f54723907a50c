//! Where an app's code comes from, as the JSON that stands in a column.

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::domain::image::ImageRef;
use crate::domain::instructions::Instructions;
use crate::domain::source::{Branch, GitUrl, Source};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Stored {
    Push { branch: String },
    Git { url: String, branch: String },
    Image { image: String },
    Upload,
    Inline { containerfile: String },
}

/// A source as JSON.
pub(super) fn to_json(source: &Source) -> Result<String, StoreError> {
    let stored = match source {
        Source::Push { branch } => Stored::Push { branch: branch.to_string() },
        Source::Git { url, branch } => Stored::Git { url: url.to_string(), branch: branch.to_string() },
        Source::Image { image } => Stored::Image { image: image.to_string() },
        Source::Upload => Stored::Upload,
        Source::Inline { instructions } => Stored::Inline { containerfile: instructions.as_str().to_owned() },
    };
    serde_json::to_string(&stored).map_err(|_| StoreError::Malformed("source"))
}

/// A source from JSON.
pub(super) fn from_json(text: &str) -> Result<Source, StoreError> {
    read(text).ok_or(StoreError::Malformed("source"))
}

fn read(text: &str) -> Option<Source> {
    Some(match serde_json::from_str(text).ok()? {
        Stored::Push { branch } => Source::Push { branch: Branch::parse(&branch).ok()? },
        Stored::Git { url, branch } => {
            Source::Git { url: GitUrl::parse(&url).ok()?, branch: Branch::parse(&branch).ok()? }
        }
        Stored::Image { image } => Source::Image { image: ImageRef::parse(&image).ok()? },
        Stored::Upload => Source::Upload,
        Stored::Inline { containerfile } => {
            Source::Inline { instructions: Instructions::parse(&containerfile).ok()? }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_read() {
        let branch = Branch::parse("trunk").unwrap();
        let url = GitUrl::parse("https://example.org/a.git").unwrap();
        let image = ImageRef::parse("nginx").unwrap();
        let instructions = Instructions::parse("FROM nginx\n").unwrap();
        for source in [
            Source::Push { branch: branch.clone() },
            Source::Git { url, branch },
            Source::Image { image },
            Source::Upload,
            Source::Inline { instructions },
        ] {
            assert_eq!(from_json(&to_json(&source).unwrap()).unwrap(), source);
        }
        for bad in ["", "{}", r#"{"push":{"branch":"-u"}}"#, r#"{"push":{"branch":"a","more":1}}"#] {
            assert!(from_json(bad).is_err(), "{bad}");
        }
    }
}
