//! Command line of the form `traffic <command> --name value …`.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

/// The options after the command's name; each one has a value.
pub struct Args(HashMap<String, String>);

impl Args {
    /// Reads pairs of `--name value`.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("\"{word}\" is not an option"))?;
            let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
            options.insert(name.to_owned(), value);
        }
        Ok(Self(options))
    }

    /// The value of `--name`, which must be there.
    pub fn required<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, String> {
        let text = self.0.get(name).ok_or_else(|| format!("--{name} is missing"))?;
        text.parse().map_err(|error| format!("--{name} {text}: {error}"))
    }

    /// The value of `--name`, or `otherwise` when it is not given.
    pub fn or<T: FromStr<Err: Display>>(&self, name: &str, otherwise: T) -> Result<T, String> {
        if self.0.contains_key(name) {
            self.required(name)
        } else {
            Ok(otherwise)
        }
    }
}
