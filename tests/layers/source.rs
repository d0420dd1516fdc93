//! As much of Rust as it takes to see what a file imports.
//!
//! Comments, strings and characters are skipped; what is left are words and
//! signs. A path is followed wherever it stands, in a `use` or in the code, and
//! `super` is resolved, so that there is no way round.

/// A file of the source.
#[derive(Debug)]
pub(super) struct Source {
    /// Its path without `.rs`.
    name: String,
    /// Every path that is used in it.
    pub(super) imports: Vec<Import>,
    /// The lines with a bare `pub`.
    pub(super) public: Vec<usize>,
}

/// A path that is used.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) line: usize,
    /// Whether only tests use it.
    pub(super) in_tests: bool,
    /// Its parts; the first one is `crate` for a path of ours.
    parts: Vec<String>,
}

impl Import {
    /// Returns the path as it would be written in full.
    pub(super) fn path(&self) -> String {
        self.parts.join("::")
    }

    /// Returns the module of ours that it leads to.
    pub(super) fn module(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [first, module, ..] if first == "crate" => Some(module),
            _ => None,
        }
    }
}

impl Source {
    /// Reads a file of the source; `name` is its path below `src`.
    pub(super) fn read(name: &str, text: &str) -> Source {
        let name = name.strip_suffix(".rs").unwrap_or(name).to_owned();
        let mut modules: Vec<String> = name.split('/').map(str::to_owned).collect();
        if modules.last().is_some_and(|last| last == "mod" || last == "lib") {
            modules.pop();
        }
        let tokens = tokens(text);
        let mut reader = Reader { tokens: &tokens, at: 0, modules, open: Vec::new() };
        let (imports, public) = reader.file();
        Source { name, imports, public }
    }

    /// Returns its path without `.rs`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the module of the crate's root that it belongs to.
    pub(super) fn module(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }
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

/// Returns how long the comment, string or character is that the text begins with.
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
    // What is no character is a lifetime.
    let is_character = inside.next() == Some('\\') || inside.next() == Some('\'');
    (["", "b"].contains(&prefix) && is_character).then(|| prefix.len() + quoted(opened, '\''))
}

/// Returns how long a comment is that may hold others.
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

/// Returns how long a text in quotes is, with both of them.
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

/// Walks through the tokens of a file.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// Where we are: the file's own module and those that are open in it.
    modules: Vec<String>,
    /// For each open brace whether it is a module's.
    open: Vec<bool>,
}

impl Reader<'_> {
    fn token(&self) -> &str {
        self.tokens.get(self.at).map_or("", |token| &token.text)
    }

    fn after(&self, distance: usize) -> &str {
        self.tokens.get(self.at + distance).map_or("", |token| &token.text)
    }

    fn file(&mut self) -> (Vec<Import>, Vec<usize>) {
        let (mut imports, mut public) = (Vec::new(), Vec::new());
        while self.at < self.tokens.len() {
            match self.token() {
                "mod" if self.after(2) == "{" => {
                    self.modules.push(self.after(1).to_owned());
                    self.open.push(true);
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
                    self.at += 1;
                    self.tree(&[], &mut imports);
                }
                token if is_word(token) && self.after(1) == "::" => self.tree(&[], &mut imports),
                token => {
                    if token == "pub" && self.after(1) != "(" {
                        public.push(self.tokens[self.at].line);
                    }
                    self.at += 1;
                }
            }
        }
        (imports, public)
    }

    /// Reads a path, or a tree of them in braces, that continues `prefix`.
    fn tree(&mut self, prefix: &[String], imports: &mut Vec<Import>) {
        let mut parts = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            match self.token() {
                "::" => self.at += 1,
                "{" if self.at > 0 && self.tokens[self.at - 1].text == "::" => {
                    self.at += 1;
                    while !["}", ""].contains(&self.token()) {
                        let before = self.at;
                        self.tree(&parts, imports);
                        // A comma, or the new name after `as`.
                        while !["}", ",", ""].contains(&self.token()) {
                            self.at += 1;
                        }
                        self.at += usize::from(self.token() == "," || self.at == before);
                    }
                    self.at += 1;
                    return;
                }
                word if word == "*"
                    || word.starts_with(|c: char| c.is_alphabetic() || c == '_') =>
                {
                    parts.push(word.to_owned());
                    self.at += 1;
                    if self.token() != "::" {
                        break;
                    }
                }
                _ => break,
            }
        }
        let in_tests = self.modules.iter().any(|module| module == "tests" || module == "testing");
        imports.push(Import { line, in_tests, parts: self.resolved(parts) });
    }

    /// Puts what `self` and `super` stand for in their place.
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
