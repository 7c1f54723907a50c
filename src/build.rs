//! From what lies at the root of a repository to how it is built. Pure: the listing comes in, nothing is opened.

use thiserror::Error;

/// The names that are looked for; the first one there is taken.
const NAMES: [&str; 2] = ["Containerfile", "Dockerfile"];

/// How a repository is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// By the instructions in a file of the repository.
    Containerfile {
        /// Where it is, from the root of the repository.
        path: String,
    },
}

/// A repository that rivetr does not know how to build.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoRecipe {
    /// There is nothing at all.
    #[error("the commit is empty: there is no Containerfile or Dockerfile to build from; add one")]
    Empty,
    /// There is one, but for its spelling.
    #[error("there is {found:?} at the root of the repository, but it must be spelt {meant:?}; rename it")]
    Misspelt {
        /// The name that is there.
        found: String,
        /// The name that is looked for.
        meant: &'static str,
    },
    /// There is none.
    #[error("there is no Containerfile and no Dockerfile at the root of the repository; add one")]
    Nothing,
}

/// The recipe for a repository whose root holds the entries of `listing`.
pub fn recipe(listing: &[&str]) -> Result<Recipe, NoRecipe> {
    if let Some(name) = NAMES.into_iter().find(|name| listing.contains(name)) {
        return Ok(Recipe::Containerfile { path: name.to_owned() });
    }
    let misspelt = NAMES.into_iter().find_map(|meant| {
        let found = listing.iter().find(|found| found.eq_ignore_ascii_case(meant))?;
        Some(NoRecipe::Misspelt { found: (*found).to_owned(), meant })
    });
    Err(misspelt.unwrap_or(if listing.is_empty() { NoRecipe::Empty } else { NoRecipe::Nothing }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containerfile_is_taken_before_the_dockerfile() {
        for (listing, path) in [
            (&["Containerfile"][..], "Containerfile"),
            (&["Dockerfile", "index.html"], "Dockerfile"),
            (&["Dockerfile", "Containerfile"], "Containerfile"),
            (&["dockerfile", "Dockerfile"], "Dockerfile"),
        ] {
            assert_eq!(recipe(listing), Ok(Recipe::Containerfile { path: path.to_owned() }));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (listing, words) in [
            (&[][..], "the commit is empty"),
            (&["index.html"], "no Containerfile and no Dockerfile at the root"),
            (&["docker", "Dockerfile.dev", "Containerfile~"], "no Containerfile and no Dockerfile"),
            (
                &["dockerfile"],
                "\"dockerfile\" at the root of the repository, but it must be spelt \"Dockerfile\"",
            ),
            (&["ContainerFile", "dockerfile"], "must be spelt \"Containerfile\""),
        ] {
            let error = recipe(listing).unwrap_err().to_string();
            assert!(error.contains(words), "{listing:?} gave {error}");
        }
    }
}
