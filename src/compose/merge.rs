//! How one description is laid over another: the rules of docker compose for `extends`, for documents of one file,
//! and for files that are included together.
//!
//! Mappings are merged, lists are appended, single values are replaced; some keys have rules of their own. What then
//! stands in a list twice is sorted out where it is read.

use super::node::{Entry, Kind, Map, Mark, Node, Place, Scalar, Value};

/// A key whose values cannot be merged, and where.
pub type Clash = (Place, String);

enum Rule {
    /// Maps are merged, lists appended, scalars replaced.
    Plain,
    /// The later one stands.
    Replace,
    /// Mappings become lists of `key=value` first, single values lists of one.
    Sequence,
    /// Lists of names become mappings first.
    Keyed,
    /// A text is the context of a build.
    Build,
    /// Options are merged where the driver is the same.
    Logging,
}

/// Lays `over` upon `under`; `path` is where both stand.
pub fn merge(mut under: Node, over: Node, path: &mut Vec<String>) -> Result<Node, Clash> {
    under.strip_resets();
    merge_nodes(under, over, path)
}

fn merge_nodes(under: Node, over: Node, path: &mut Vec<String>) -> Result<Node, Clash> {
    if over.mark == Some(Mark::Override) {
        return Ok(over);
    }
    let rule = rule(path);
    if over.is_null() && !matches!(rule, Rule::Replace) {
        return Ok(under);
    }
    if under.is_null() {
        return Ok(over);
    }
    let place = over.place;
    match rule {
        Rule::Replace => Ok(over),
        Rule::Sequence => Ok(append(without_reset(sequence(under), &over), sequence(over), place)),
        Rule::Keyed => merge_plain(keyed(under, path), keyed(over, path), path),
        Rule::Build => merge_plain(build(under), build(over), path),
        Rule::Logging if driver(&under).zip(driver(&over)).is_some_and(|(a, b)| a != b) => Ok(over),
        Rule::Logging | Rule::Plain => merge_plain(under, over, path),
    }
}

fn merge_plain(under: Node, over: Node, path: &mut Vec<String>) -> Result<Node, Clash> {
    let place = over.place;
    let value = match (under.value, over.value) {
        (Value::Map(under), Value::Map(over)) => Value::Map(merge_maps(under, over, path)?),
        (Value::List(mut items), Value::List(more)) => {
            items.extend(more);
            Value::List(items)
        }
        (Value::Map(_) | Value::List(_), _) => {
            return Err((
                place,
                format!(
                    "{} cannot be merged: one is a list or a mapping, and the other is not",
                    path.join(".")
                ),
            ));
        }
        (_, over) => over,
    };
    Ok(Node { place, mark: over.mark, value })
}

fn merge_maps(mut under: Map, over: Map, path: &mut Vec<String>) -> Result<Map, Clash> {
    for (key, Entry { key: place, node }) in over {
        if node.mark == Some(Mark::Reset) {
            under.remove(&key);
            continue;
        }
        let node = match under.remove(&key) {
            Some(entry) if !key.starts_with("x-") => {
                path.push(key.clone());
                let merged = merge_nodes(entry.node, node, path)?;
                path.pop();
                merged
            }
            Some(_) | None => node,
        };
        under.insert(key, Entry { key: place, node });
    }
    Ok(under)
}

fn rule(path: &[String]) -> Rule {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["services", _, rest @ ..] => match rest {
            ["command" | "entrypoint"] | ["healthcheck", "test"] => Rule::Replace,
            [
                "annotations" | "dns" | "dns_opt" | "dns_search" | "env_file" | "environment" | "extra_hosts"
                | "label_file" | "labels" | "sysctls" | "tmpfs",
            ]
            | ["build", "additional_contexts" | "args" | "extra_hosts" | "labels"]
            | ["deploy", "labels"] => Rule::Sequence,
            ["depends_on" | "networks" | "models"] => Rule::Keyed,
            ["build"] => Rule::Build,
            ["logging"] => Rule::Logging,
            _ => Rule::Plain,
        },
        ["networks" | "volumes", _, "labels"] => Rule::Sequence,
        _ => Rule::Plain,
    }
}

fn append(mut under: Vec<Node>, over: Vec<Node>, place: Place) -> Node {
    under.extend(over);
    Node::new(place, Value::List(under))
}

/// What is left when the keys are taken out that a mapping resets.
fn without_reset(mut under: Vec<Node>, over: &Node) -> Vec<Node> {
    if let Value::Map(map) = &over.value {
        let reset = |key: &str| map.get(key).is_some_and(|entry| entry.node.mark == Some(Mark::Reset));
        under.retain(|item| match &item.value {
            Value::Scalar(scalar) => !reset(scalar.text.split('=').next().unwrap_or_default()),
            Value::Null | Value::List(_) | Value::Map(_) => true,
        });
    }
    under
}

fn sequence(node: Node) -> Vec<Node> {
    match node.value {
        Value::Null => Vec::new(),
        Value::List(items) => items,
        Value::Scalar(_) => vec![node],
        Value::Map(map) => map.into_iter().flat_map(|(key, entry)| pair(&key, entry)).collect(),
    }
}

fn pair(key: &str, entry: Entry) -> Vec<Node> {
    if entry.node.mark == Some(Mark::Reset) {
        return Vec::new();
    }
    let place = entry.key;
    match entry.node.value {
        Value::Null => vec![Node::text(place, key)],
        Value::Scalar(scalar) => vec![Node::text(place, format!("{key}={}", scalar.text))],
        Value::List(items) => {
            let texts = items.into_iter().filter_map(|item| match item.value {
                Value::Scalar(scalar) => Some(scalar.text),
                Value::Null | Value::List(_) | Value::Map(_) => None,
            });
            texts.map(|text| Node::text(place, format!("{key}={text}"))).collect()
        }
        Value::Map(_) => vec![entry.node],
    }
}

fn keyed(node: Node, path: &[String]) -> Node {
    let Value::List(items) = node.value else { return node };
    let is_order = path.last().is_some_and(|key| key == "depends_on");
    let named = items.into_iter().filter_map(|item| match item.value {
        Value::Scalar(scalar) => Some((scalar.text, item.place)),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    });
    let map = named.map(|(name, place)| {
        let value = if is_order { started(place) } else { Value::Null };
        (name, Entry { key: place, node: Node::new(place, value) })
    });
    Node { place: node.place, mark: node.mark, value: Value::Map(map.collect()) }
}

/// What a service in the short form of `depends_on` means.
fn started(place: Place) -> Value {
    let required = Node::new(place, Value::Scalar(Scalar { text: "true".to_owned(), kind: Kind::Bool }));
    let pairs = [("condition", Node::text(place, "service_started")), ("required", required)];
    Value::Map(pairs.into_iter().map(|(key, node)| (key.to_owned(), Entry { key: place, node })).collect())
}

fn build(node: Node) -> Node {
    if !matches!(node.value, Value::Scalar(_)) {
        return node;
    }
    let (place, mark) = (node.place, node.mark);
    let map = Map::from([("context".to_owned(), Entry { key: place, node })]);
    Node { place, mark, value: Value::Map(map) }
}

fn driver(node: &Node) -> Option<&str> {
    let Value::Map(map) = &node.value else { return None };
    match &map.get("driver")?.node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}
