//! A minimal reader of Rust source that finds the paths a file uses.
//!
//! It skips comments, strings and characters; the rest is words and signs. It follows a path
//! wherever it occurs, in a `use` or in the code, and resolves `self` and `super`, so that no
//! spelling of an import goes unnoticed.

use std::collections::BTreeSet;

/// A source file.
#[derive(Debug)]
pub(super) struct Source {
    /// Its path without `.rs`.
    name: String,
    /// Every path that is used in it.
    pub(super) imports: Vec<Import>,
    /// The lines with a bare `pub`.
    pub(super) public: Vec<usize>,
    /// The child modules with a file of their own.
    pub(super) children: Vec<Child>,
    /// The words of its code outside tests and outside `use` declarations.
    pub(super) words: BTreeSet<String>,
    /// Whether the whole file is compiled for tests only.
    pub(super) is_test: bool,
}

/// A path that is used.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) line: usize,
    /// Whether it is used in a module for tests or below `#[cfg(test)]`.
    pub(super) in_tests: bool,
    /// Its parts; the first one is `crate` for a path in this crate.
    parts: Vec<String>,
    /// What a `use` declares; `None` for a path in the code.
    pub(super) declared: Option<Declared>,
}

/// The name that a `use` declares for a path.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) is_public: bool,
}

/// A `mod NAME;`.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) name: String,
    /// Whether it is compiled for tests only.
    pub(super) is_test: bool,
}

impl Import {
    /// Returns the path as it would be written in full.
    pub(super) fn path(&self) -> String {
        self.parts.join("::")
    }

    /// Returns the parts after `crate`; `None` for a path outside this crate.
    pub(super) fn in_crate(&self) -> Option<&[String]> {
        self.parts.split_first().filter(|(first, _)| *first == "crate").map(|(_, rest)| rest)
    }

    /// Returns the top-level module that the path leads to.
    pub(super) fn module(&self) -> Option<&str> {
        self.in_crate()?.first().map(String::as_str)
    }
}

impl Source {
    /// Reads a source file; `name` is its path below `src`.
    pub(super) fn read(name: &str, text: &str) -> Source {
        let name = name.strip_suffix(".rs").unwrap_or(name).to_owned();
        let modules = module_path(&name);
        let tokens = tokens(text);
        let tests = test_ranges(&tokens);
        let is_test = tests.contains(&(0..tokens.len()));
        let mut reader = Reader { tokens: &tokens, at: 0, modules, open: Vec::new(), tests };
        let Found { imports, public, children, words } = reader.file();
        Source { name, imports, public, children, words, is_test }
    }

    /// Returns its path without `.rs`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the top-level module that it belongs to.
    pub(super) fn module(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }

    /// Returns its path as a module, as in `disk/mod` → `disk`; that of the root is empty.
    pub(super) fn module_path(&self) -> Vec<String> {
        module_path(&self.name)
    }
}

fn module_path(name: &str) -> Vec<String> {
    let mut modules: Vec<String> = name.split('/').map(str::to_owned).collect();
    if modules.last().is_some_and(|last| last == "mod" || last == "lib") {
        modules.pop();
    }
    modules
}

/// A word, `::`, or a sign, and its line.
#[derive(Debug)]
struct Token {
    line: usize,
    text: String,
}

/// Splits code into tokens.
fn tokens(text: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest).unwrap_or_else(|| {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                word => word,
            };
            if !first.is_whitespace() {
                found.push(Token { line, text: rest[..length].to_owned() });
            }
            length
        });
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// Returns the length of the comment, string or character that the text begins with, in bytes.
fn skipped(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(comment(text));
    }
    let opened = text.trim_start_matches(['b', 'c', 'r']);
    let prefix = &text[..text.len() - opened.len()];
    let hashes = opened.len() - opened.trim_start_matches('#').len();
    if ["r", "br", "cr"].contains(&prefix) && opened[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let begin = prefix.len() + hashes + 1;
        return Some(text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()));
    }
    if ["", "b", "c"].contains(&prefix) && opened.starts_with('"') {
        return Some(prefix.len() + quoted(opened, '"'));
    }
    let character = opened.strip_prefix('\'')?;
    let mut inside = character.chars();
    // Otherwise the quote begins a lifetime.
    let is_character = inside.next() == Some('\\') || inside.next() == Some('\'');
    (["", "b"].contains(&prefix) && is_character).then(|| prefix.len() + quoted(opened, '\''))
}

/// Returns the length of a block comment, which may contain other comments.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        let step = match () {
            () if rest.starts_with(b"/*") => 1,
            () if rest.starts_with(b"*/") => -1,
            () => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
        if depth == 0 {
            break;
        }
    }
    at
}

/// Returns the length of a quoted text, including both quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Returns the tokens that `#[cfg(test)]` applies to, and all of them for `#![cfg(test)]`.
fn test_ranges(tokens: &[Token]) -> Vec<std::ops::Range<usize>> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let begins = |at: usize, words: &[&str]| {
        words.iter().enumerate().all(|(offset, word)| text(at + offset) == *word)
    };
    let mut ranges = Vec::new();
    for at in 0..tokens.len() {
        if begins(at, &["#", "!", "[", "cfg", "(", "test", ")", "]"]) {
            ranges.push(0..tokens.len());
        } else if begins(at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            ranges.push(at..item_end(tokens, at + 7));
        }
    }
    ranges
}

/// Returns the end of the item, field, variant or statement that begins at a token.
fn item_end(tokens: &[Token], begin: usize) -> usize {
    const ITEMS: [&str; 11] = [
        "fn", "impl", "mod", "use", "struct", "enum", "const", "static", "type", "trait", "unsafe",
    ];
    let is_item = tokens[begin..].iter().take(6).any(|token| ITEMS.contains(&token.text.as_str()));
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth -= 1;
                let is_block = token.text == "}" && is_item;
                // The braces of a `use` are followed by a semicolon.
                let next = tokens.get(at + 1).map_or("", |next| next.text.as_str());
                if depth < 0 || (depth == 0 && is_block && next != ";") {
                    return at + usize::from(depth == 0);
                }
            }
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && !is_item => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The paths, public items and child modules of a file.
#[derive(Default)]
struct Found {
    imports: Vec<Import>,
    public: Vec<usize>,
    children: Vec<Child>,
    words: BTreeSet<String>,
}

/// Reads the tokens of a file.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The file's own module path and the inline modules that are open.
    modules: Vec<String>,
    /// For each open brace whether it opened a module.
    open: Vec<bool>,
    /// The tokens that are compiled for tests only.
    tests: Vec<std::ops::Range<usize>>,
}

impl Reader<'_> {
    fn token(&self) -> &str {
        self.tokens.get(self.at).map_or("", |token| &token.text)
    }

    fn after(&self, distance: usize) -> &str {
        self.tokens.get(self.at + distance).map_or("", |token| &token.text)
    }

    fn is_test(&self) -> bool {
        self.tests.iter().any(|range| range.contains(&self.at))
            || self.modules.iter().any(|module| module == "tests" || module == "testing")
    }

    fn file(&mut self) -> Found {
        let mut found = Found::default();
        while self.at < self.tokens.len() {
            match self.token() {
                "mod" if self.after(2) == "{" => {
                    self.modules.push(self.after(1).to_owned());
                    self.open.push(true);
                    self.at += 3;
                }
                "mod" if self.after(2) == ";" => {
                    let (name, is_test) = (self.after(1).to_owned(), self.is_test());
                    found.children.push(Child { name, is_test });
                    self.at += 3;
                }
                "{" => {
                    self.open.push(false);
                    self.at += 1;
                }
                "}" => {
                    if self.open.pop() == Some(true) {
                        self.modules.pop();
                    }
                    self.at += 1;
                }
                "use" => {
                    let is_public = self.is_public();
                    self.at += 1;
                    self.tree(&[], Some(is_public), &mut found.imports);
                }
                token if is_word(token) && self.after(1) == "::" => {
                    self.note_word(&mut found);
                    self.tree(&[], None, &mut found.imports);
                }
                token => {
                    if token == "pub" && self.after(1) != "(" {
                        found.public.push(self.tokens[self.at].line);
                    }
                    self.note_word(&mut found);
                    self.at += 1;
                }
            }
        }
        found
    }

    fn note_word(&self, found: &mut Found) {
        if !self.is_test() {
            found.words.insert(self.token().to_owned());
        }
    }

    /// Returns whether the item at hand has a visibility, as in `pub(crate) use`.
    fn is_public(&self) -> bool {
        let before =
            |distance| self.at.checked_sub(distance).map(|at| self.tokens[at].text.as_str());
        before(1) == Some("pub") || (before(1) == Some(")") && before(4) == Some("pub"))
    }

    /// Reads a path, or a tree of them in braces, that continues `prefix`; `public` is the
    /// visibility of the `use` that it belongs to.
    fn tree(&mut self, prefix: &[String], public: Option<bool>, imports: &mut Vec<Import>) {
        let mut parts = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let in_tests = self.is_test();
        loop {
            match self.token() {
                "::" => self.at += 1,
                "{" if self.at > 0 && self.tokens[self.at - 1].text == "::" => {
                    self.at += 1;
                    while !["}", ""].contains(&self.token()) {
                        let before = self.at;
                        self.tree(&parts, public, imports);
                        // A comma, or the new name after `as`.
                        while !["}", ",", ""].contains(&self.token()) {
                            self.at += 1;
                        }
                        self.at += usize::from(self.token() == "," || self.at == before);
                    }
                    self.at += 1;
                    return;
                }
                word if word == "*" || is_word(word) => {
                    parts.push(word.to_owned());
                    self.at += 1;
                    if self.token() != "::" {
                        break;
                    }
                }
                _ => break,
            }
        }
        let declared = public.and_then(|is_public| {
            let last = parts.iter().rfind(|part| *part != "self")?;
            let name = if self.token() == "as" { self.after(1) } else { last };
            Some(Declared { name: name.to_owned(), is_public })
        });
        imports.push(Import { line, in_tests, parts: self.resolved(parts), declared });
    }

    /// Replaces `self` and `super` by the modules that they stand for.
    fn resolved(&self, parts: Vec<String>) -> Vec<String> {
        let ups = parts.iter().take_while(|part| *part == "super" || *part == "self");
        let (ours, ups) = (ups.clone().count(), ups.filter(|part| *part == "super").count());
        if ours == 0 {
            return parts;
        }
        let kept = self.modules.len().saturating_sub(ups);
        let modules = self.modules[..kept].iter().cloned();
        let rest = parts.into_iter().skip(ours);
        std::iter::once("crate".to_owned()).chain(modules).chain(rest).collect()
    }
}
