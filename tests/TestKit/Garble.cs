using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;

namespace RenderTrust.TestKit;

/// <summary>Makes requests that no client should make: messages with absurd values, messages of another kind, and damaged bytes.</summary>
public sealed class Garble(Random random, IReadOnlyList<string> ids)
{
    private const int DepthMax = 4;

    private static readonly string[] Absurd =
    [
        "", " ", "||", "a||b", "\0", "a\0b", "..", "../../etc/passwd", "%2F%2e", "{}", "null", "\"", "'; DROP TABLE rendertrust_workflows; --", "\ud83d\ude80", "\u202e",
        "-1", "9223372036854775808", "NaN", "\r\n\r\nHTTP/1.1 200 OK", new string('x', 65), new string('i', 1025), new string('\u00fc', 5000), new string('n', 200_000),
    ];

    private static readonly double[] Numbers = [0, 1, -1, 5, 255, 65536, int.MaxValue, int.MinValue, uint.MaxValue, long.MaxValue, long.MinValue];

    /// <summary>The body of a request for an rpc that takes <paramref name="type"/>.</summary>
    public byte[] Request(MessageDescriptor type, IReadOnlyList<MessageDescriptor> others) => random.Next(10) switch
    {
        0 => Bytes(random.Next(200)),
        1 => Message(others[random.Next(others.Count)]).ToByteArray(),
        <= 4 => Damaged(Message(type).ToByteArray()),
        _ => Message(type).ToByteArray(),
    };

    public string Text() => random.Next(3) == 0 ? ids[random.Next(ids.Count)] : Absurd[random.Next(Absurd.Length)];

    public byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>Bits turned, pieces cut out, doubled or put in.</summary>
    public byte[] Damaged(byte[] bytes)
    {
        var damaged = bytes.ToList();
        for (var times = random.Next(1, 5); times > 0 && damaged.Count > 0; times--)
        {
            var at = random.Next(damaged.Count);
            switch (random.Next(4))
            {
                case 0:
                    damaged[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    damaged.RemoveRange(at, random.Next(Math.Min(20, damaged.Count - at) + 1));
                    break;
                case 2:
                    damaged.InsertRange(at, Bytes(random.Next(1, 12)));
                    break;
                default:
                    damaged.InsertRange(at, damaged.GetRange(at, Math.Min(20, damaged.Count - at)));
                    break;
            }
        }

        return [.. damaged];
    }

    /// <summary>A message that can be read, with values that make no sense.</summary>
    public IMessage Message(MessageDescriptor type, int depth = 0)
    {
        var message = type.Parser.ParseFrom(ByteString.Empty);
        foreach (var field in type.Fields.InDeclarationOrder().Where(field => field.ContainingOneof is null || field.ContainingOneof.IsSynthetic))
        {
            if (random.Next(4) != 0)
            {
                Fill(message, field, depth);
            }
        }

        foreach (var choice in type.Oneofs.Where(choice => !choice.IsSynthetic))
        {
            Fill(message, choice.Fields[random.Next(choice.Fields.Count)], depth);
        }

        return message;
    }

    private void Fill(IMessage message, FieldDescriptor field, int depth)
    {
        if (field.FieldType == FieldType.Message && depth >= DepthMax)
        {
            return;
        }

        if (field.IsMap)
        {
            FillMap((System.Collections.IDictionary)field.Accessor.GetValue(message), field.MessageType, depth);
            return;
        }

        if (!field.IsRepeated)
        {
            field.Accessor.SetValue(message, Value(field, depth));
            return;
        }

        var list = (System.Collections.IList)field.Accessor.GetValue(message);
        for (var count = random.Next(4); count > 0; count--)
        {
            list.Add(Value(field, depth));
        }
    }

    private void FillMap(System.Collections.IDictionary map, MessageDescriptor entry, int depth)
    {
        for (var count = random.Next(3); count > 0; count--)
        {
            map[Value(entry.FindFieldByNumber(1), depth + 1)] = Value(entry.FindFieldByNumber(2), depth + 1);
        }
    }

    private object Value(FieldDescriptor field, int depth)
    {
        var number = Numbers[random.Next(Numbers.Length)];
        return field.FieldType switch
        {
            FieldType.String => Text(),
            FieldType.Bytes => ByteString.CopyFrom(Bytes(random.Next(50))),
            FieldType.Bool => random.Next(2) == 0,
            FieldType.Int32 => (int)Math.Clamp(number, int.MinValue, int.MaxValue),
            FieldType.UInt32 => (uint)Math.Clamp(number, 0, uint.MaxValue),
            FieldType.Int64 => number >= long.MaxValue ? long.MaxValue : (long)number,
            FieldType.UInt64 => number >= long.MaxValue ? ulong.MaxValue : (ulong)Math.Max(0, number),
            FieldType.Double => number,
            FieldType.Float => (float)number,
            FieldType.Enum => System.Enum.ToObject(field.EnumType.ClrType, random.Next(3) == 0 ? (int)Math.Clamp(number, int.MinValue, int.MaxValue) : random.Next(10)),
            // Wrapped values are plain ones in C#.
            FieldType.Message when field.MessageType == StringValue.Descriptor => Text(),
            FieldType.Message when field.MessageType == Int32Value.Descriptor => (int)Math.Clamp(number, int.MinValue, int.MaxValue),
            FieldType.Message when field.MessageType == UInt32Value.Descriptor => (uint)Math.Clamp(number, 0, uint.MaxValue),
            FieldType.Message when field.MessageType == Int64Value.Descriptor => number >= long.MaxValue ? long.MaxValue : (long)number,
            FieldType.Message when field.MessageType == BytesValue.Descriptor => ByteString.CopyFrom(Bytes(random.Next(50))),
            FieldType.Message when field.MessageType == BoolValue.Descriptor => random.Next(2) == 0,
            FieldType.Message => Message(field.MessageType, depth + 1),
            _ => throw new NotSupportedException($"{field.FullName} is of type {field.FieldType}, which this protocol had no use for. Give it absurd values here."),
        };
    }
}
