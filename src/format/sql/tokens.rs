//! Splits one complete statement into tokens, for the few questions that are asked about statements.

/// One token; comments and white space are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token<'a> {
    /// A keyword or an unquoted name or number.
    Word(&'a [u8]),
    /// A quoted name, without its outer quotes; inner ones are still doubled.
    Name(&'a [u8]),
    /// A literal in single quotes or dollars, without them.
    Literal(&'a [u8]),
    Mark(u8),
}

impl<'a> Token<'a> {
    pub fn is(&self, keyword: &str) -> bool {
        matches!(self, Token::Word(word) if word.eq_ignore_ascii_case(keyword.as_bytes()))
    }

    /// Returns the name as the server would understand it. `None`: the token is a mark.
    pub fn name(&self) -> Option<String> {
        match self {
            Token::Word(word) => Some(String::from_utf8_lossy(word).to_lowercase()),
            Token::Name(name) => Some(String::from_utf8_lossy(name).replace("\"\"", "\"")),
            Token::Literal(text) => Some(String::from_utf8_lossy(text).replace("''", "'")),
            Token::Mark(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Tokens { text, at: 0 }
    }

    /// Takes a list in parentheses, of which `take` reads each entry. Returns an empty list if none begins.
    pub fn take_list<T>(&mut self, mut take: impl FnMut(&mut Self) -> Option<T>) -> Vec<T> {
        let mut list = Vec::new();
        if self.next() != Some(Token::Mark(b'(')) {
            return list;
        }
        while let Some(entry) = take(self) {
            list.push(entry);
            if self.next() != Some(Token::Mark(b',')) {
                break;
            }
        }
        list
    }

    /// Takes a name with its qualifiers, and returns it as it is written. `None`: no name comes next.
    pub fn take_name(&mut self) -> Option<&'a [u8]> {
        self.skip_blanks();
        let start = self.at;
        loop {
            let (Token::Word(_) | Token::Name(_)) = self.next()? else { return None };
            let end = self.at;
            let mut ahead = self.clone();
            if ahead.next() != Some(Token::Mark(b'.')) {
                return Some(&self.text[start..end]);
            }
            *self = ahead;
        }
    }

    /// Takes these keywords if exactly they come next, and returns whether they did.
    pub fn accept(&mut self, keywords: &[&str]) -> bool {
        let mut ahead = self.clone();
        let all = keywords.iter().all(|keyword| ahead.next().is_some_and(|token| token.is(keyword)));
        if all {
            *self = ahead;
        }
        all
    }

    /// Returns the text from which no token has been taken yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            self.at += match rest {
                [byte, ..] if byte.is_ascii_whitespace() || *byte == 0x0b => 1,
                [b'-', b'-', ..] => memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()),
                [b'/', b'*', ..] => comment(rest),
                _ => return,
            };
        }
    }

    /// Returns the text up to the closing quote. A doubled quote stays inside, and with `escapes` so does one after a backslash.
    fn quoted(&mut self, quote: u8, escapes: bool) -> &'a [u8] {
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.text.get(self.at) {
            self.at += 1;
            if escapes && *byte == b'\\' {
                self.at = (self.at + 1).min(self.text.len());
            } else if *byte == quote {
                if self.text.get(self.at) != Some(&quote) {
                    return &self.text[start..self.at - 1];
                }
                self.at += 1;
            }
        }
        &self.text[start..]
    }

    fn dollar(&mut self) -> Option<Token<'a>> {
        let rest = self.rest();
        let end = 1 + rest[1..].iter().position(|byte| !is_word(*byte) || *byte == b'$')?;
        if rest[end] != b'$' || rest[1].is_ascii_digit() {
            return None;
        }
        let tag = &rest[..=end];
        let body = &rest[tag.len()..];
        let length = memchr::memmem::find(body, tag)?;
        self.at += length + 2 * tag.len();
        Some(Token::Literal(&body[..length]))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks();
        let rest = self.rest();
        let token = match *rest.first()? {
            b'\'' => Token::Literal(self.quoted(b'\'', false)),
            b'"' => Token::Name(self.quoted(b'"', false)),
            b'$' if let Some(literal) = self.dollar() => literal,
            byte if is_word(byte) && byte != b'$' => {
                let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
                self.at += length;
                match (&rest[..length], rest.get(length)) {
                    (b"E" | b"e", Some(b'\'')) => Token::Literal(self.quoted(b'\'', true)),
                    (word, _) => Token::Word(word),
                }
            }
            byte => {
                self.at += 1;
                Token::Mark(byte)
            }
        };
        Some(token)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// Returns the length of a block comment, with the comments inside it.
fn comment(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0u32);
    while at < text.len() {
        let step = match &text[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}
