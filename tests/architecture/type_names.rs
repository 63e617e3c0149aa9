//! Holds that the name of a type stands for one thing in the crate, and says what the thing is.

use super::{Source, sources};
use std::collections::BTreeMap;
use syn::visit::Visit;

/// Words that tell what happened to a thing, or ask for it, but do not say what it is. Those that end with `ed` need no list.
const NO_NOUNS: &[&str] = &[
    "About", "Again", "After", "Before", "Begun", "Broken", "Chosen", "Done", "Drawn", "Found", "From", "Given",
    "Gone", "Held", "Here", "Hidden", "How", "Kept", "Known", "Late", "Left", "Lost", "Made", "Met", "Of", "Other",
    "Own", "Put", "Read", "Run", "Said", "Seen", "Sent", "Set", "Shown", "Split", "Spoken", "Taken", "There", "Told",
    "Ways", "What", "Where", "Which", "Who", "Whole", "Whose", "Why", "Written", "Wrong",
];

#[test]
fn the_name_of_a_type_stands_for_one_thing() {
    let places = places();
    let twice: Vec<_> = places.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "{} names of types stand for several things: {twice:#?}", twice.len());
    assert!(places.len() > 300, "only {} types below src", places.len());
}

#[test]
fn the_name_of_a_type_says_what_it_is() {
    let is_no_noun = |name: &str| {
        let one_word = !name.chars().skip(1).any(char::is_uppercase);
        one_word && (name.ends_with("ed") || NO_NOUNS.contains(&name))
    };
    let faults: Vec<_> = places().into_iter().filter(|(name, _)| is_no_noun(name)).collect();
    assert!(faults.is_empty(), "what is it? {faults:#?}");
}

/// Returns the files that define a type of each name, without tests.
fn places() -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Source { name, code } in sources() {
        let syntax = syn::parse_file(&code).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut types = Types(Vec::new());
        types.visit_file(&syntax);
        types.0.into_iter().for_each(|defined| places.entry(defined).or_default().push(name.clone()));
    }
    places
}

/// Collects the names of the types that a file defines. Associated types are named by their traits.
struct Types(Vec<String>);

impl<'ast> Visit<'ast> for Types {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.0.push(item.ident.to_string());
        syn::visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.0.push(item.ident.to_string());
    }

    /// A macro that makes a type begins with its name.
    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let mut tokens = item.mac.tokens.clone().into_iter().map(|token| token.to_string());
        let first = tokens.find(|token| !token.starts_with(['#', '['])).unwrap_or_default();
        if first.starts_with(char::is_uppercase) {
            self.0.push(first);
        }
    }
}
