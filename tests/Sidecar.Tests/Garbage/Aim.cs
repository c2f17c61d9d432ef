using Google.Protobuf;
using Google.Protobuf.Reflection;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>Garbage with the right names of stores, topics, apps and actors in it: it gets past the first look-up, to what lies behind.</summary>
internal sealed class Aim(IReadOnlyList<string> stores, IReadOnlyList<string> pubSubs)
{
    public byte[] Request(MessageDescriptor type, Random random, Garble garble)
    {
        var message = garble.Message(type);
        Correct(message, random);
        return random.Next(6) == 0 ? garble.Damaged(message.ToByteArray()) : message.ToByteArray();
    }

    private void Correct(IMessage message, Random random)
    {
        foreach (var field in message.Descriptor.Fields.InDeclarationOrder().Where(field => !field.IsMap))
        {
            if (field.FieldType == FieldType.Message)
            {
                var value = field.Accessor.GetValue(message);
                foreach (var child in (value as System.Collections.IEnumerable ?? new[] { value }).OfType<IMessage>())
                {
                    Correct(child, random);
                }
            }
            else if (field.FieldType == FieldType.String && !field.IsRepeated && random.Next(8) != 0 && Good(field, message.Descriptor, random) is { } good)
            {
                field.Accessor.SetValue(message, good);
            }
        }
    }

    private string? Good(FieldDescriptor field, MessageDescriptor type, Random random) => field.Name switch
    {
        "store_name" when type.Name.Contains("Secret", StringComparison.Ordinal) => random.Next(2) == 0 ? "environment" : "file",
        "store_name" or "storeName" => stores[random.Next(stores.Count)],
        "pubsub_name" => pubSubs[random.Next(pubSubs.Count)],
        "topic" => "garbage",
        "actor_type" => "Broken",
        "actor_id" when random.Next(2) == 0 => "one",
        "operationType" or "operation_type" => random.Next(2) == 0 ? "upsert" : "delete",
        "key" when random.Next(2) == 0 => "key",
        "id" when type.Name == "InvokeServiceRequest" => random.Next(2) == 0 ? "sound" : "broken",
        "due_time" or "period" when random.Next(2) == 0 => "1h0m0s",
        "ttl" when random.Next(2) == 0 => "",
        _ => null,
    };
}
