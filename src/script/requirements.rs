//! What a script takes for granted: roles and extensions.

use super::tokens::{Token, Tokens};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Roles and extensions that the statements name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    pub roles: BTreeSet<String>,
    /// Those of the roles that are named by more than ownership and privileges: by policies, user mappings and the like.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub bound_roles: BTreeSet<String>,
    pub extensions: BTreeSet<String>,
}

impl Requirements {
    /// Returns how many names there are.
    pub fn count(&self) -> usize {
        self.roles.len() + self.bound_roles.len() + self.extensions.len()
    }

    /// Leaves out what is more than so many of a kind, and what no server can have.
    pub fn trim(&mut self, most: usize) {
        for names in [&mut self.roles, &mut self.bound_roles, &mut self.extensions] {
            names.retain(|name| !name.contains('\0'));
            while names.len() > most {
                names.pop_last();
            }
        }
    }

    /// Takes one complete statement. A statement that names nothing costs a look at its first word.
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

    /// The list of roles behind the first such keyword outside parentheses.
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
        let reserved = ["public", "current_user", "current_role", "session_user", "default"];
        let Some(token) = token.filter(|token| !reserved.iter().any(|word| token.is(word))) else { return };
        self.roles.extend(token.name());
    }
}

/// The role of `ALTER … OWNER TO role`, given what comes after the first word. None where the statement does anything else too, or where
/// `owner` is the name of what is renamed.
pub fn owner(mut tokens: Tokens<'_>) -> Option<Token<'_>> {
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

/// Whether these three tokens begin `RENAME [COLUMN|ATTRIBUTE|CONSTRAINT] name`, or a list of actions.
fn renames(before: [Option<Token<'_>>; 3]) -> bool {
    let is = |at: usize, word: &str| before[at].is_some_and(|token| token.is(word));
    let qualified = |at: usize| before[at] == Some(Token::Mark(b'.'));
    let kind = ["column", "attribute", "constraint"].iter().any(|kind| is(2, kind));
    is(2, "rename") && !qualified(1) || kind && is(1, "rename") && !qualified(0) || before[2] == Some(Token::Mark(b','))
}
