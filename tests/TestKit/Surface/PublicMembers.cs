using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace RenderTrust.TestKit.Surface;

/// <summary>
/// An assembly's public members, one a line: <c>type::member&lt;arity&gt;(parameter types) : result | parameter names and defaults</c>. Types are written
/// as the metadata tables name them, so that a reference found in a compiled assembly gives the same text up to the bar.
/// </summary>
public static class PublicMembers
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static IEnumerable<string> Of(Assembly assembly) => assembly.GetTypes().Where(type => type.IsVisible && !Generated(type)).SelectMany(Of);

    private static IEnumerable<string> Of(Type type)
    {
        yield return $"type {Name(type)} : {Kind(type)}";
        if (type.IsEnum)
        {
            foreach (var name in Enum.GetNames(type))
            {
                yield return $"{Name(type)}::{name} = {Convert.ToInt64(Enum.Parse(type, name), CultureInfo.InvariantCulture)}";
            }

            yield break;
        }

        foreach (var constructor in type.GetConstructors(Declared).Where(constructor => Seen(constructor) && !Generated(constructor)))
        {
            yield return $"{Name(type)}::.ctor({Types(constructor)}) : System.Void{Names(constructor)}";
        }

        foreach (var method in type.GetMethods(Declared).Where(method => Seen(method) && !Synthesized(type, method)))
        {
            var arity = method.IsGenericMethodDefinition ? $"<{method.GetGenericArguments().Length}>" : "";
            yield return $"{Name(type)}::{method.Name}{arity}({Types(method)}) : {Name(method.ReturnType)}{Names(method)}";
        }
    }

    private static string Kind(Type type) =>
        type.IsEnum ? "enum" : type.IsInterface ? "interface" : type.IsValueType ? "struct" : type.IsAbstract && type.IsSealed ? "static class" : type.IsAbstract ? "abstract class" : type.IsSealed ? "sealed class" : "class";

    private static bool Seen(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    // Overrides of object's own members and what a record adds to a type are called through other names.
    private static bool Synthesized(Type type, MethodInfo method) =>
        (Generated(method) && !method.IsSpecialName)
        || method.GetBaseDefinition().DeclaringType == typeof(object)
        || (Generated(method) && method.Name is "op_Equality" or "op_Inequality" or "get_EqualityContract")
        || (method.Name == "Equals" && type.GetMethod("<Clone>$") is not null);

    private static bool Generated(MemberInfo member) => member.IsDefined(typeof(CompilerGeneratedAttribute), inherit: false);

    private static string Types(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter => Name(parameter.ParameterType)));

    private static string Names(MethodBase method)
    {
        var parameters = method.GetParameters();
        return parameters.Length == 0 ? "" : " | " + string.Join(", ", parameters.Select(parameter => parameter.Name + (parameter.HasDefaultValue ? $" = {Default(parameter)}" : "")));
    }

    private static string Default(ParameterInfo parameter) => parameter.DefaultValue switch
    {
        null => parameter.ParameterType.IsValueType && Nullable.GetUnderlyingType(parameter.ParameterType) is null ? "default" : "null",
        bool value => value ? "true" : "false",
        Enum value => Convert.ToInt64(value, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture),
        var value => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static string Name(Type type) => type switch
    {
        { IsGenericMethodParameter: true } => $"!!{type.GenericParameterPosition}",
        { IsGenericTypeParameter: true } => $"!{type.GenericParameterPosition}",
        { IsArray: true } => Name(type.GetElementType()!) + "[]",
        { IsByRef: true } => Name(type.GetElementType()!) + "&",
        { IsConstructedGenericType: true } => $"{Name(type.GetGenericTypeDefinition())}<{string.Join(", ", type.GenericTypeArguments.Select(Name))}>",
        { IsNested: true } => $"{Name(type.DeclaringType!)}+{type.Name}",
        _ => $"{type.Namespace}.{type.Name}",
    };
}
