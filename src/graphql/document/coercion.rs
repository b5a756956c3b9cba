//! Coerces literals and the values of variables to the types of the schema.
//!
//! This follows "Input Coercion" and `CoerceVariableValues` of the GraphQL specification. An absent
//! variable stays absent, which is not the same as null. Messages are those of graphql-js.

use apollo_compiler::ast::{self, Type, VariableDefinition};
use apollo_compiler::schema::{ExtendedType, InputObjectType, InputValueDefinition};
use apollo_compiler::{Node, Schema};
use async_graphql::{Name, Number, Pos, ServerError, Variables};
use async_graphql_value::{ConstValue, Value};

use super::diagnostics::{MAX_ERRORS, invalid};
use super::source::Lines;

/// The value of a valid literal at a position of the type `ty`.
///
/// Its variables stay variables.
pub fn literal(schema: &Schema, value: &ast::Value, ty: &Type) -> Value {
    match value {
        ast::Value::Variable(name) => return Value::Variable(Name::new(name)),
        ast::Value::Null => return Value::Null,
        ast::Value::List(items) => {
            let item = |item: &Node<ast::Value>| literal(schema, item, ty.item_type());
            return Value::List(items.iter().map(item).collect());
        }
        // A single value at the position of a list is a list of this value.
        value if ty.is_list() => return Value::List(vec![literal(schema, value, ty.item_type())]),
        _ => {}
    }
    let name = ty.inner_named_type().as_str();
    match value {
        ast::Value::String(text) => Value::String(text.clone()),
        ast::Value::Boolean(value) => Value::Boolean(*value),
        ast::Value::Enum(name) => Value::Enum(Name::new(name)),
        ast::Value::Int(number) if name == "ID" => Value::String(number.as_str().to_owned()),
        ast::Value::Int(number) => {
            // As a floating-point number, `-0` would be no integer.
            let integer = number.as_str().parse::<i64>().map(Number::from);
            let number = integer.or_else(|_| number.as_str().parse::<Number>());
            number.map_or(Value::Null, Value::Number)
        }
        ast::Value::Float(number) => number.as_str().parse().map_or(Value::Null, Value::Number),
        ast::Value::Object(fields) => {
            let types = schema.get_input_object(name).map(|object| &object.fields);
            let field = |(name, value): &(apollo_compiler::Name, Node<ast::Value>)| {
                let definition = types.and_then(|types| types.get(name));
                let ty = definition.map_or(ty, |definition| &definition.ty);
                (Name::new(name), literal(schema, value, ty))
            };
            Value::Object(fields.iter().map(field).collect())
        }
        ast::Value::Null | ast::Value::Variable(_) | ast::Value::List(_) => Value::Null,
    }
}

/// Coerces the values of an operation's variables.
///
/// Values of other names are dropped. A variable without a value and without a default is absent
/// from the result. `text` is that of the document.
///
/// # Errors
/// `GRAPHQL_VALIDATION_FAILED` for each value that is missing or of another type.
pub fn variables(
    schema: &Schema,
    definitions: &[Node<VariableDefinition>],
    mut given: Variables,
    text: &str,
) -> Result<Variables, Vec<ServerError>> {
    let (mut coerced, mut errors) = (Variables::default(), Vec::new());
    for definition in definitions {
        let (name, ty) = (definition.name.as_str(), &*definition.ty);
        let position = || Lines::new(text).start_of(definition.location());
        let value = match (given.remove(name), &definition.default_value) {
            (Some(ConstValue::Null), _) if ty.is_non_null() => {
                let message =
                    format!("Variable \"${name}\" of non-null type \"{ty}\" must not be null.");
                errors.push(invalid(&message, position()));
                continue;
            }
            (Some(value), _) => {
                let path = vec![name.to_owned()];
                let mut coercion = Coercion { schema, path, problems: Vec::new() };
                let value = coercion.value(value, ty);
                let position =
                    if coercion.problems.is_empty() { Pos::default() } else { position() };
                errors.extend(coercion.problems.into_iter().map(|problem| {
                    invalid(&format!("Variable \"${name}\" got invalid value {problem}"), position)
                }));
                value
            }
            (None, Some(default)) => literal(schema, default, ty).into_const().unwrap_or_default(),
            (None, None) if ty.is_non_null() => {
                let message =
                    format!("Variable \"${name}\" of required type \"{ty}\" was not provided.");
                errors.push(invalid(&message, position()));
                continue;
            }
            (None, None) => continue,
        };
        coerced.insert(Name::new(name), value);
    }
    if errors.is_empty() { Ok(coerced) } else { Err(errors) }
}

/// The coercion of one variable's value.
struct Coercion<'a> {
    schema: &'a Schema,
    /// The path to the value that is being coerced, from the variable's name.
    path: Vec<String>,
    /// What is wrong, with the value and its path.
    problems: Vec<String>,
}

impl Coercion<'_> {
    fn value(&mut self, value: ConstValue, ty: &Type) -> ConstValue {
        if value == ConstValue::Null {
            if ty.is_non_null() {
                let problem = format!("Expected non-nullable type \"{ty}\" not to be null.");
                self.reject(&value, &problem);
            }
            return value;
        }
        if !ty.is_list() {
            return self.named(value, ty.inner_named_type());
        }
        let items = match value {
            ConstValue::List(items) => items.into_iter().enumerate(),
            single => return ConstValue::List(vec![self.value(single, ty.item_type())]),
        };
        let coerced = items.map(|(index, item)| {
            self.path.push(format!("[{index}]"));
            let item = self.value(item, ty.item_type());
            self.path.pop();
            item
        });
        ConstValue::List(coerced.collect())
    }

    fn named(&mut self, value: ConstValue, name: &str) -> ConstValue {
        let schema = self.schema;
        match schema.types.get(name) {
            Some(ExtendedType::InputObject(object)) => self.object(value, object),
            Some(ExtendedType::Enum(definition)) => match &value {
                ConstValue::String(text) if definition.values.contains_key(text.as_str()) => {
                    ConstValue::Enum(Name::new(text))
                }
                ConstValue::String(text) => {
                    let problem = format!("Value \"{text}\" does not exist in \"{name}\" enum.");
                    self.reject(&value, &problem)
                }
                _ => {
                    let shown = shown(&value);
                    let problem =
                        format!("Enum \"{name}\" cannot represent non-string value: {shown}.");
                    self.reject(&value, &problem)
                }
            },
            _ => match scalar(&value, name) {
                Ok(Some(scalar)) => scalar,
                Ok(None) => value,
                Err(kind) => {
                    let problem = format!("{name} cannot represent {kind}: {}", shown(&value));
                    self.reject(&value, &problem)
                }
            },
        }
    }

    fn object(&mut self, value: ConstValue, object: &InputObjectType) -> ConstValue {
        let name = &object.name;
        let ConstValue::Object(mut fields) = value else {
            let problem = format!("Expected type \"{name}\" to be an object.");
            return self.reject(&value, &problem);
        };
        let unknown = fields.keys().find(|field| !object.fields.contains_key(field.as_str()));
        if let Some(field) = unknown {
            let problem = format!("Field \"{field}\" is not defined by type \"{name}\".");
            return self.reject(&ConstValue::Object(fields), &problem);
        }
        for (field, definition) in &object.fields {
            if let Some(value) = fields.get_mut(field.as_str()) {
                self.path.push(format!(".{field}"));
                *value = self.value(std::mem::take(value), &definition.ty);
                self.path.pop();
            } else if is_required(definition) {
                let ty = &definition.ty;
                let problem =
                    format!("Field \"{field}\" of required type \"{ty}\" was not provided.");
                return self.reject(&ConstValue::Object(fields), &problem);
            }
        }
        if is_one_of(object) {
            if fields.len() != 1 {
                let problem =
                    format!("Exactly one key must be specified for OneOf type \"{name}\".");
                return self.reject(&ConstValue::Object(fields), &problem);
            }
            if let Some((field, ConstValue::Null)) = fields.first() {
                let problem = format!("Field \"{field}\" must be non-null.");
                return self.reject(&ConstValue::Null, &problem);
            }
        }
        ConstValue::Object(fields)
    }

    fn reject(&mut self, value: &ConstValue, problem: &str) -> ConstValue {
        if self.problems.len() >= MAX_ERRORS {
            return ConstValue::Null;
        }
        let at = match self.path.len() {
            1 => String::new(),
            _ => format!(" at \"{}\"", self.path.concat()),
        };
        self.problems.push(format!("{}{at}; {problem}", shown(value)));
        ConstValue::Null
    }
}

/// The value of a scalar, if it differs from the given one.
///
/// # Errors
/// The kind of value that the given one is not.
fn scalar(value: &ConstValue, name: &str) -> Result<Option<ConstValue>, &'static str> {
    match (name, value) {
        ("Int", ConstValue::Number(number)) => {
            let integer = integer(number).ok_or("non-integer value")?;
            let integer: i32 = integer.parse().map_err(|_| "non 32-bit signed integer value")?;
            Ok(Some(ConstValue::Number(integer.into())))
        }
        ("Int", _) => Err("non-integer value"),
        ("Float", ConstValue::Number(_))
        | ("Boolean", ConstValue::Boolean(_))
        | ("String" | "ID", ConstValue::String(_)) => Ok(None),
        ("Float", _) => Err("non numeric value"),
        ("Boolean", _) => Err("a non boolean value"),
        ("String", _) => Err("a non string value"),
        ("ID", ConstValue::Number(number)) => {
            integer(number).map(|id| Some(ConstValue::String(id))).ok_or("value")
        }
        ("ID", _) => Err("value"),
        // Any value is valid for another scalar, as far as its own parsing permits.
        _ => Ok(None),
    }
}

/// The decimal digits of a number without a fraction, as JavaScript prints it.
fn integer(number: &Number) -> Option<String> {
    if number.is_i64() || number.is_u64() {
        return Some(number.to_string());
    }
    let value = number.as_f64().filter(|value| value.fract() == 0.0)?;
    if value.abs() >= 1e21 {
        return Some(format!("{value:e}").replace('e', "e+"));
    }
    // Negative zero is 0.
    Some(format!("{:.0}", value + 0.0))
}

/// A value in the text of a message.
fn shown(value: &ConstValue) -> String {
    value.clone().into_json().map_or_else(|_| value.to_string(), |json| json.to_string())
}

/// Whether exactly one field of an input object must be given.
pub fn is_one_of(object: &InputObjectType) -> bool {
    object.directives.iter().any(|directive| directive.name == "oneOf")
}

fn is_required(definition: &InputValueDefinition) -> bool {
    definition.ty.is_non_null() && definition.default_value.is_none()
}
