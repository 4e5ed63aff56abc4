//! Splits Rust source into words, marks and comments, so that a check never trips over a string or a comment.

/// What one token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Mark,
    Text,
    Lifetime,
    Comment,
    DocComment,
}

/// One token; `line` counts from 1, and `in_tests` says that it lies inside a `#[cfg(test)]` module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) in_tests: bool,
}

/// The tokens of a source file, comments apart from code.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) code: Vec<Token>,
    pub(crate) comments: Vec<Token>,
}

impl Source {
    /// Reads a whole file's text.
    pub(crate) fn parse(text: &str) -> Self {
        let mut lexer = Lexer { rest: text, line: 1 };
        let mut source = Self::default();
        while let Some((kind, text, line)) = lexer.next_token() {
            let token = Token { kind, text: text.to_owned(), line, in_tests: false };
            match kind {
                Kind::Comment | Kind::DocComment => source.comments.push(token),
                _ => source.code.push(token),
            }
        }
        mark_test_modules(&mut source.code);
        source
    }

    /// The code's token texts from `start` on.
    pub(crate) fn texts(&self, start: usize) -> impl Iterator<Item = &str> {
        self.code.iter().skip(start).map(|token| token.text.as_str())
    }

    /// Whether the code has exactly these token texts from `start` on.
    pub(crate) fn has(&self, start: usize, texts: &[&str]) -> bool {
        let mut found = self.texts(start);
        texts.iter().all(|text| found.next() == Some(text))
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lexer<'a> {
    fn next_token(&mut self) -> Option<(Kind, &'a str, usize)> {
        let blank = self.rest.len() - self.rest.trim_start().len();
        self.take(blank);
        let first = self.rest.chars().next()?;
        let (kind, length) = self.measure(first);
        let line = self.line;
        Some((kind, self.take(length), line))
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn measure(&self, first: char) -> (Kind, usize) {
        let rest = self.rest;
        if rest.starts_with("//") {
            let doc = (rest.starts_with("///") && !rest.starts_with("////")) || rest.starts_with("//!");
            let kind = if doc { Kind::DocComment } else { Kind::Comment };
            return (kind, rest.find('\n').unwrap_or(rest.len()));
        }
        if rest.starts_with("/*") {
            let doc = rest.starts_with("/**") || rest.starts_with("/*!");
            return (if doc { Kind::DocComment } else { Kind::Comment }, block_comment(rest));
        }
        if let Some(length) = string(rest) {
            return (Kind::Text, length);
        }
        if first == '\'' {
            return quoted(rest);
        }
        if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            return (Kind::Word, end.unwrap_or(rest.len()));
        }
        (Kind::Mark, if rest.starts_with("::") { 2 } else { first.len_utf8() })
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            match rest.chars().next() {
                Some(other) => at += other.len_utf8(),
                None => break,
            }
        }
    }
    text.len()
}

/// The length of the string literal of any kind that `text` starts with.
fn string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|prefix| {
        let after = text.strip_prefix(prefix).unwrap_or_default();
        after.starts_with('"') || (prefix.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
    });
    let body = text.strip_prefix(prefix.unwrap_or_default())?;
    let start = text.len() - body.len();
    if prefix.is_some_and(|prefix| prefix.ends_with('r')) {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = body.get(hashes + 1..)?;
        return Some(inside.find(&end).map_or(text.len(), |at| start + hashes + 1 + at + end.len()));
    }
    let inside = body.strip_prefix('"')?;
    Some(escaped_end(inside, '"').map_or(text.len(), |at| start + 1 + at))
}

/// Where `inside` passes the closing quote.
fn escaped_end(inside: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some(at + c.len_utf8());
        }
    }
    None
}

/// A character literal or a lifetime.
fn quoted(text: &str) -> (Kind, usize) {
    let inside = text.get(1..).unwrap_or_default();
    let mut chars = inside.chars();
    let first = chars.next();
    if first == Some('\\') || chars.next() == Some('\'') {
        return (Kind::Text, escaped_end(inside, '\'').map_or(text.len(), |at| at + 1));
    }
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
    (Kind::Lifetime, 1 + end.max(1))
}

fn mark_test_modules(code: &mut [Token]) {
    let opening = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut at = 0;
    while at < code.len() {
        let starts = code.iter().skip(at).map(|token| token.text.as_str()).take(opening.len()).eq(opening);
        if !starts {
            at += 1;
            continue;
        }
        let mut depth = 0_usize;
        for token in code.iter_mut().skip(at) {
            token.in_tests = true;
            at += 1;
            match token.text.as_str() {
                "{" => depth += 1,
                "}" if depth <= 1 => break,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
}

fn words(text: &str) -> Vec<String> {
    Source::parse(text).texts(0).map(str::to_owned).collect()
}

#[test]
fn strings_and_comments_are_not_code() {
    let text = "let a = \"unsafe // \\\" x\"; /* unsafe /* nested */ unsafe */ b(r#\"un\"safe\"#, b\"u\", '\"', '\\''); // unsafe";
    assert!(!words(text).contains(&"unsafe".to_owned()), "{:?}", words(text));
    assert_eq!(Source::parse(text).comments.len(), 2);
    assert!(words(text).contains(&"b".to_owned()));
}

#[test]
fn lifetimes_do_not_swallow_code() {
    assert_eq!(words("fn a<'a>(x: &'a u8) { 'b' }").last().map(String::as_str), Some("}"));
    assert!(words("impl<'de> X<'_> { unsafe {} }").contains(&"unsafe".to_owned()));
}

#[test]
fn lines_are_counted_through_comments_and_strings() {
    let source = Source::parse("/* a\n b */\n\"x\ny\"\n here");
    assert_eq!(source.code.last().map(|token| token.line), Some(5));
}

#[test]
fn test_modules_are_marked_to_their_end() {
    let source =
        Source::parse("a(); #[cfg(test)] mod tests { fn b() { c(); } } d(); #[cfg(test)] mod e; f();");
    let outside: Vec<&str> = source
        .code
        .iter()
        .filter(|token| !token.in_tests && token.kind == Kind::Word)
        .map(|token| token.text.as_str())
        .collect();
    assert_eq!(outside, ["a", "d", "f"]);
}
