//! The door: command lines in, answers and exit statuses out.

mod template;
