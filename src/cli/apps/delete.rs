//! `rivetr apps delete`: takes an app away once its name was typed again, or with `--yes`.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use crate::domain::name::Slug;

/// The arguments of `rivetr apps delete`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr apps delete blog --yes")]
pub struct Delete {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// Delete its volumes too, with all their data
    #[arg(long)]
    volumes: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Delete {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        if !self.yes {
            let stdin = std::io::stdin();
            if !stdin.is_terminal() {
                return Err(unasked(&self.name));
            }
            confirm(&self.name, self.volumes, &mut stdin.lock(), &mut std::io::stderr())?;
        }
        let answer =
            session.client.delete(&format!("/api/apps/{}?volumes={}", self.name, self.volumes)).await?;
        session.done(&answer, &format!("{} is deleted.", self.name))
    }
}

fn unasked(app: &Slug) -> Failure {
    Failure::new(Exit::Usage, format!("{app} was not deleted: nobody can be asked here whether it may be"))
        .cure(format!("rivetr apps delete {app} --yes"))
}

fn confirm(
    app: &Slug,
    volumes: bool,
    answers: &mut impl BufRead,
    questions: &mut impl Write,
) -> Result<(), Failure> {
    let data = if volumes {
        "Its volumes go with all their data."
    } else {
        "Its volumes stay; --volumes deletes them too."
    };
    write!(
        questions,
        "{app} is stopped and deleted, with its releases, images, logs and its repository here.\n{data}\n\
         Type its name to go on: "
    )?;
    questions.flush()?;
    let mut typed = String::new();
    answers.read_line(&mut typed)?;
    if typed.trim() == app.as_str() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("{app} was not deleted: that was not its name")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_will_do() {
        let app = Slug::parse("blog").unwrap();
        for (typed, goes_on) in
            [("blog\n", true), (" blog \n", true), ("y\n", false), ("", false), ("blo\n", false)]
        {
            let mut asked = Vec::new();
            assert_eq!(confirm(&app, false, &mut typed.as_bytes(), &mut asked).is_ok(), goes_on, "{typed:?}");
            assert!(asked.starts_with(b"blog is stopped"));
        }
        assert_eq!(unasked(&app).exit, Exit::Usage);
    }
}
