//! Knows when a `;` belongs to the body of an SQL-standard function.

/// Follows the words of one statement: `CREATE [OR REPLACE] {FUNCTION|PROCEDURE} … BEGIN ATOMIC … END`.
#[derive(Debug, Default)]
pub(crate) struct Routine {
    head: RoutineHead,
    depth: u32,
    begin: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum RoutineHead {
    #[default]
    Start,
    Create,
    Or,
    Replace,
    Routine,
    Other,
}

impl Routine {
    /// Returns whether further words can change anything.
    pub fn listens(&self) -> bool {
        self.head != RoutineHead::Other
    }

    pub fn inside_body(&self) -> bool {
        self.depth > 0
    }

    /// Takes the next unquoted word; `top` is false inside parentheses, which hold neither bodies nor their ends.
    pub fn word(&mut self, word: &[u8], top: bool) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        self.head = match self.head {
            RoutineHead::Start if is("create") => RoutineHead::Create,
            RoutineHead::Create if is("or") => RoutineHead::Or,
            RoutineHead::Or if is("replace") => RoutineHead::Replace,
            RoutineHead::Create | RoutineHead::Replace if is("function") || is("procedure") => RoutineHead::Routine,
            RoutineHead::Routine => {
                return if top {
                    self.body(word)
                };
            }
            _ => RoutineHead::Other,
        };
    }

    /// Takes a word after `FUNCTION` or `PROCEDURE`. `begin` alone may be a name (`CREATE FUNCTION public.begin()`): a body begins
    /// with both words.
    fn body(&mut self, word: &[u8]) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let begun = std::mem::replace(&mut self.begin, is("begin"));
        if self.depth == 0 {
            self.depth = u32::from(begun && is("atomic"));
        } else if is("case") {
            self.depth += 1;
        } else if is("end") {
            self.depth -= 1;
        }
    }
}
