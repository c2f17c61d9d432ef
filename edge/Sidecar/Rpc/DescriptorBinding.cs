using System.Reflection;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace RenderTrust.Sidecar.Rpc;

/// <summary>
/// Serves a protobuf service for which only the client half was generated. The descriptor says which rpcs exist and of
/// which messages; a public method of <typeparamref name="THandler"/> with the rpc's name serves it. An rpc without such
/// a method is bound to an answer that says so: UNIMPLEMENTED, never a wrong success.
/// </summary>
internal sealed class DescriptorBinding<THandler>(ServiceDescriptor service) : IServiceMethodProvider<THandler> where THandler : class
{
    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<THandler> context)
    {
        foreach (var rpc in service.Methods)
        {
            if (typeof(THandler).GetMethod(rpc.Name, BindingFlags.Public | BindingFlags.Instance) is { } handler)
            {
                Bind((rpc.IsClientStreaming, rpc.IsServerStreaming) switch
                {
                    (false, false) => nameof(BindUnary),
                    (false, true) => nameof(BindServerStreaming),
                    (true, true) => nameof(BindDuplex),
                    _ => throw new NotSupportedException($"{rpc.FullName} streams from the client alone, which no Dapr rpc does."),
                }, rpc, [context, rpc, handler]);
            }
            else
            {
                // A duplex binding fits every shape of refusal: it answers before it reads.
                Bind(nameof(BindRefusal), rpc, [context, rpc]);
            }
        }
    }

    private static void Bind(string binder, MethodDescriptor rpc, object[] arguments) =>
        typeof(DescriptorBinding<THandler>)
            .GetMethod(binder, BindingFlags.NonPublic | BindingFlags.Static)!
            .MakeGenericMethod(rpc.InputType.ClrType, rpc.OutputType.ClrType)
            .Invoke(null, arguments);

    private static void BindUnary<TRequest, TResponse>(ServiceMethodProviderContext<THandler> context, MethodDescriptor rpc, MethodInfo handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        context.AddUnaryMethod(
            Describe<TRequest, TResponse>(rpc, MethodType.Unary), [], handler.CreateDelegate<UnaryServerMethod<THandler, TRequest, TResponse>>());

    private static void BindServerStreaming<TRequest, TResponse>(ServiceMethodProviderContext<THandler> context, MethodDescriptor rpc, MethodInfo handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        context.AddServerStreamingMethod(
            Describe<TRequest, TResponse>(rpc, MethodType.ServerStreaming), [], handler.CreateDelegate<ServerStreamingServerMethod<THandler, TRequest, TResponse>>());

    private static void BindDuplex<TRequest, TResponse>(ServiceMethodProviderContext<THandler> context, MethodDescriptor rpc, MethodInfo handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        context.AddDuplexStreamingMethod(
            Describe<TRequest, TResponse>(rpc, MethodType.DuplexStreaming), [], handler.CreateDelegate<DuplexStreamingServerMethod<THandler, TRequest, TResponse>>());

    private static void BindRefusal<TRequest, TResponse>(ServiceMethodProviderContext<THandler> context, MethodDescriptor rpc)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        context.AddDuplexStreamingMethod(Describe<TRequest, TResponse>(rpc, MethodType.DuplexStreaming), [], (_, _, _, _) =>
            throw new RpcException(new Status(StatusCode.Unimplemented, $"{rpc.Name} is not served by the embedded sidecar; run with the real daprd")));

    private static Method<TRequest, TResponse> Describe<TRequest, TResponse>(MethodDescriptor rpc, MethodType shape)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        new(shape, rpc.Service.FullName, rpc.Name, Wire<TRequest>(), Wire<TResponse>());

    private static Marshaller<T> Wire<T>() where T : class, IMessage<T>, new()
    {
        var parser = new MessageParser<T>(static () => new T());
        return new Marshaller<T>(
            static (message, context) =>
            {
                context.SetPayloadLength(message.CalculateSize());
                message.WriteTo(context.GetBufferWriter());
                context.Complete();
            },
            context =>
            {
                try
                {
                    return parser.ParseFrom(context.PayloadAsReadOnlySequence());
                }
                catch (InvalidProtocolBufferException e)
                {
                    // The caller's mistake, not ours.
                    throw new RpcException(new Status(StatusCode.InvalidArgument, $"the request is not a {new T().Descriptor.FullName}: {e.Message}"));
                }
            });
    }
}
