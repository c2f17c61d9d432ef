using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace RenderTrust.Contracts.Tests;

/// <summary>
/// The wire form of every contract, one file each under Golden. A change here is a change of what parts of the platform say to each other:
/// RENDERTRUST_UPDATE_GOLDEN=1 writes the files anew, and the difference is for the reviewer.
/// </summary>
public sealed class GoldenTests
{
    private static readonly JsonSerializerOptions Indented = new(WireJson.Options) { WriteIndented = true, NewLine = "\n" };

    public static TheoryData<string> Contracts => [.. ContractTypes().Select(type => type.Name)];

    [Theory]
    [MemberData(nameof(Contracts))]
    public void A_contract_is_written_as_its_golden_file_says(string name)
    {
        var type = ContractTypes().Single(candidate => candidate.Name == name);

        var json = JsonSerializer.Serialize(Sample(type), type, Indented) + "\n";

        var file = Path.Combine(GoldenFolder(), name + ".json");
        if (Environment.GetEnvironmentVariable("RENDERTRUST_UPDATE_GOLDEN") == "1")
        {
            Directory.CreateDirectory(GoldenFolder());
            File.WriteAllText(file, json);
        }

        Assert.True(File.Exists(file), $"{file} is missing. Run this test once with RENDERTRUST_UPDATE_GOLDEN=1 and review the file.");
        Assert.Equal(File.ReadAllText(file), json);
    }

    [Theory]
    [MemberData(nameof(Contracts))]
    public void What_was_written_reads_back_to_the_same(string name)
    {
        var type = ContractTypes().Single(candidate => candidate.Name == name);
        var golden = File.ReadAllText(Path.Combine(GoldenFolder(), name + ".json"));

        var again = JsonSerializer.Serialize(JsonSerializer.Deserialize(golden, type, WireJson.Options), type, Indented) + "\n";

        Assert.Equal(golden, again);
    }

    [Fact]
    public void Every_golden_file_belongs_to_a_contract()
    {
        var known = ContractTypes().Select(type => type.Name + ".json");

        var files = Directory.EnumerateFiles(GoldenFolder()).Select(file => Path.GetFileName(file));

        Assert.Equal(known, files.Order(StringComparer.Ordinal));
    }

    /// <summary>All public records: what travels as JSON.</summary>
    private static IEnumerable<Type> ContractTypes() =>
        typeof(WireJson).Assembly.GetExportedTypes()
            .Where(type => type.IsClass && type.GetMethod("<Clone>$") is not null)
            .OrderBy(type => type.Name, StringComparer.Ordinal);

    /// <summary>The same value for a type everywhere, every member set, so that each shows its name and form. A list of the type itself is empty: trees end.</summary>
    private static object? Sample(Type type, Type? within = null)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        if (plain == typeof(string))
        {
            return "text";
        }

        if (plain == typeof(int))
        {
            return 7;
        }

        if (plain == typeof(long))
        {
            return 7_000_000_000L;
        }

        if (plain == typeof(double))
        {
            return 0.25;
        }

        if (plain == typeof(bool))
        {
            return true;
        }

        if (plain == typeof(byte[]))
        {
            return new byte[] { 1, 2, 3 };
        }

        if (plain == typeof(Guid))
        {
            return Guid.Parse("01234567-89ab-7cde-8f01-23456789abcd");
        }

        if (plain == typeof(DateTimeOffset))
        {
            return new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);
        }

        if (plain == typeof(JsonElement))
        {
            return JsonElement.Parse("""{"any":["json",1]}""");
        }

        if (plain.IsEnum)
        {
            return Enum.GetValues(plain).GetValue(plain.GetEnumValues().Length - 1);
        }

        if (plain.IsValueType && plain.GetMethod("Create", BindingFlags.Public | BindingFlags.Static) is { } create)
        {
            return create.Invoke(null, [Sample(typeof(Guid))]);
        }

        if (plain.IsGenericType && plain.GetGenericTypeDefinition() == typeof(IReadOnlyList<>))
        {
            if (plain.GetGenericArguments()[0] == within)
            {
                return Array.CreateInstance(within, 0);
            }

            var items = Array.CreateInstance(plain.GetGenericArguments()[0], 1);
            items.SetValue(Sample(plain.GetGenericArguments()[0]), 0);
            return items;
        }

        if (plain.IsGenericType && plain.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>))
        {
            var map = (System.Collections.IDictionary)Activator.CreateInstance(typeof(Dictionary<,>).MakeGenericType(plain.GetGenericArguments()))!;
            map.Add("key", Sample(plain.GetGenericArguments()[1]));
            return map;
        }

        var constructor = plain.GetConstructors().OrderByDescending(candidate => candidate.GetParameters().Length).FirstOrDefault()
            ?? throw new InvalidOperationException($"No sample is known for {plain}.");
        return constructor.Invoke([.. constructor.GetParameters().Select(parameter => Sample(parameter.ParameterType, plain))]);
    }

    private static string GoldenFolder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "Golden");
}
