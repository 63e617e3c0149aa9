//! Finds what a script requires: roles, extensions and tablespaces.

use crate::format::sql::tokens::{Token, Tokens};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Roles, extensions and tablespaces that the statements name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    pub roles: BTreeSet<String>,
    /// Roles that are named by more than ownership and privileges: by policies, user mappings and the like.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub bound_roles: BTreeSet<String>,
    /// Roles that own something; empty in older documents.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub owners: BTreeSet<String>,
    pub extensions: BTreeSet<String>,
    /// Tablespaces of tables and indexes that are not in the database's own.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tablespaces: BTreeSet<String>,
}

impl Requirements {
    /// Returns how many names there are.
    pub fn count(&self) -> usize {
        [&self.roles, &self.bound_roles, &self.owners, &self.extensions, &self.tablespaces]
            .map(BTreeSet::len)
            .iter()
            .sum()
    }

    /// Removes names beyond `most` of each kind, and names that no server can have.
    pub fn trim(&mut self, most: usize) {
        let Requirements { roles, bound_roles, owners, extensions, tablespaces } = self;
        for names in [roles, bound_roles, owners, extensions, tablespaces] {
            names.retain(|name| !name.contains('\0'));
            while names.len() > most {
                names.pop_last();
            }
        }
    }

    /// Takes one complete statement. One that names nothing costs only a test of its first word.
    pub fn scan(&mut self, statement: &[u8]) {
        let mut tokens = Tokens::new(statement);
        let Some(Token::Word(verb)) = tokens.next() else { return };
        match verb.to_ascii_lowercase().as_slice() {
            b"alter" => self.alter(tokens),
            b"grant" => self.behind("to", tokens),
            b"revoke" => self.behind("from", tokens),
            b"create" => {
                let mut made = Requirements::default();
                made.create(tokens);
                self.bound_roles.extend(made.roles.iter().cloned());
                self.roles.append(&mut made.roles);
                self.extensions.append(&mut made.extensions);
            }
            b"set" if tokens.accept(&["session", "authorization"]) => self.role(tokens.next()),
            b"set" if tokens.accept(&["default_tablespace"]) => {
                let named = tokens.nth(1).as_ref().and_then(Token::name);
                self.tablespaces.extend(named.filter(|name| !name.is_empty()));
            }
            _ => {}
        }
    }

    fn alter(&mut self, mut tokens: Tokens<'_>) {
        if tokens.accept(&["default", "privileges"]) {
            while let Some(token) = tokens.next() {
                match token {
                    _ if token.is("role") => self.role(tokens.next()),
                    _ if token.is("grant") => return self.behind("to", tokens),
                    _ if token.is("revoke") => return self.behind("from", tokens),
                    _ => {}
                }
            }
        } else if let Some(owner) = owner(tokens) {
            self.owners.extend(role(Some(owner)));
            self.role(Some(owner));
        }
    }

    fn create(&mut self, mut tokens: Tokens<'_>) {
        if tokens.accept(&["extension"]) {
            tokens.accept(&["if", "not", "exists"]);
            self.extensions.extend(tokens.next().as_ref().and_then(Token::name));
        } else if tokens.accept(&["policy"]) {
            self.behind("to", tokens);
        } else if tokens.accept(&["user", "mapping", "for"]) {
            self.role(tokens.next());
        } else if tokens.accept(&["schema"]) {
            while let Some(token) = tokens.next() {
                if token.is("authorization") {
                    self.role(tokens.next());
                }
            }
        }
    }

    /// Takes the list of roles after the first such keyword outside parentheses.
    fn behind(&mut self, keyword: &str, mut tokens: Tokens<'_>) {
        let mut depth = 0;
        for token in tokens.by_ref() {
            match token {
                Token::Mark(b'(') => depth += 1,
                Token::Mark(b')') => depth -= 1,
                _ if depth == 0 && token.is(keyword) => break,
                _ => {}
            }
        }
        loop {
            tokens.accept(&["group"]);
            self.role(tokens.next());
            if tokens.next() != Some(Token::Mark(b',')) {
                return;
            }
        }
    }

    fn role(&mut self, token: Option<Token<'_>>) {
        self.roles.extend(role(token));
    }
}

/// Returns the name of a role. `None`: the word means the current user, or everybody.
fn role(token: Option<Token<'_>>) -> Option<String> {
    let reserved = ["public", "current_user", "current_role", "session_user", "default"];
    token.filter(|token| !reserved.iter().any(|word| token.is(word)))?.name()
}

/// Returns the role of `ALTER … OWNER TO role`, given the tokens after the first word. `None`: the statement does anything else
/// too, or `owner` is the name of something that is renamed.
pub(crate) fn owner(mut tokens: Tokens<'_>) -> Option<Token<'_>> {
    let mut before = [None; 3];
    while let Some(token) = tokens.next() {
        if token.is("owner") && tokens.accept(&["to"]) {
            let role = tokens.next();
            let last = matches!(tokens.next(), None | Some(Token::Mark(b';')));
            return role.filter(|_| last && !renames(before));
        }
        before = [before[1], before[2], Some(token)];
    }
    None
}

/// Returns whether these three tokens begin `RENAME [COLUMN|ATTRIBUTE|CONSTRAINT] name`, or a list of actions.
fn renames(before: [Option<Token<'_>>; 3]) -> bool {
    let is = |at: usize, word: &str| before[at].is_some_and(|token| token.is(word));
    let qualified = |at: usize| before[at] == Some(Token::Mark(b'.'));
    let kind = ["column", "attribute", "constraint"].iter().any(|kind| is(2, kind));
    is(2, "rename") && !qualified(1) || kind && is(1, "rename") && !qualified(0) || before[2] == Some(Token::Mark(b','))
}
