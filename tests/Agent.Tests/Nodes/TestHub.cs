using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Tests.Nodes;

/// <summary>A hub that speaks the real protocol over mutual TLS and leaves every decision to the test.</summary>
internal sealed class TestHub(TestAuthority authority) : IAsyncDisposable
{
    private readonly Channel<TestSession> _sessions = Channel.CreateUnbounded<TestSession>();
    private WebApplication? _app;
    private long _epoch;

    public int Port { get; private set; }

    public string Url => $"https://127.0.0.1:{Port}";

    public ConcurrentDictionary<string, byte[]> Blobs { get; } = new();

    public ConcurrentQueue<string> Fetched { get; } = new();

    public Func<IReadOnlyList<string>, IReadOnlyList<string>> LiveOf { get; set; } = running => running;

    public bool RefuseUploads { get; set; }

    /// <summary>Uploads that this hub fails to store, told by their hash.</summary>
    public Func<string, bool> FailUpload { get; set; } = _ => false;

    public async Task StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, Port, listen =>
        {
            listen.Protocols = HttpProtocols.Http1AndHttp2;
            listen.UseHttps(new HttpsConnectionAdapterOptions
            {
                ServerCertificate = authority.IssueServer(),
                ClientCertificateMode = ClientCertificateMode.RequireCertificate,
                ClientCertificateValidation = (certificate, _, _) => IsOurs(certificate),
            });
        }));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(this);
        _app = builder.Build();
        _app.MapGrpcService<Service>();
        _app.MapGet("/v1/node/blobs/{sha256}", (string sha256, HttpContext http) =>
        {
            if (http.Request.Headers.Authorization != "Lease token")
            {
                return Results.StatusCode(401);
            }

            Fetched.Enqueue(sha256);
            return Blobs.TryGetValue(sha256, out var bytes) ? Results.Bytes(bytes) : Results.NotFound();
        });
        _app.MapPut("/v1/node/blobs/{sha256}", async (string sha256, HttpContext http) =>
        {
            if (http.Request.Headers.Authorization != "Lease token" || RefuseUploads)
            {
                return Results.StatusCode(403);
            }

            if (FailUpload(sha256))
            {
                return Results.StatusCode(500);
            }

            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body, http.RequestAborted);
            if (Convert.ToHexStringLower(SHA256.HashData(body.ToArray())) != sha256)
            {
                return Results.StatusCode(422);
            }

            Blobs[sha256] = body.ToArray();
            return Results.NoContent();
        });
        await _app.StartAsync();
        Port = new Uri(_app.Urls.First()).Port;
    }

    /// <summary>Drops every stream, as a killed hub does.</summary>
    public async Task StopAsync()
    {
        if (_app is { } app)
        {
            _app = null;
            using var now = new CancellationTokenSource(0);
            await app.StopAsync(now.Token);
            await app.DisposeAsync();
            while (_sessions.Reader.TryRead(out _))
            {
                // A node that came back while this hub was going: that stream is dead.
            }
        }
    }

    public async Task<TestSession> NextSessionAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        return await _sessions.Reader.ReadAsync(limit.Token);
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private bool IsOurs(X509Certificate2 certificate)
    {
        using var chain = new X509Chain { ChainPolicy = RenderTrust.Agent.Enrollment.PlatformTrust.Policy(authority.Certificate) };
        return chain.Build(certificate);
    }

    private sealed class Service(TestHub hub) : Hub.HubBase
    {
        public override async Task Connect(IAsyncStreamReader<NodeFrame> requestStream, IServerStreamWriter<HubFrame> responseStream, ServerCallContext context)
        {
            Assert.True(await requestStream.MoveNext(context.CancellationToken));
            var hello = requestStream.Current.Hello;
            var session = new TestSession(hello, Interlocked.Increment(ref hub._epoch));
            var welcome = new Welcome { Epoch = session.Epoch, HeartbeatIntervalMs = 500 };
            welcome.LiveAttemptIds.Add(hub.LiveOf(hello.RunningAttemptIds));
            await responseStream.WriteAsync(new HubFrame { Welcome = welcome }, context.CancellationToken);
            await hub._sessions.Writer.WriteAsync(session, context.CancellationToken);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, session.Cut);
#pragma warning disable CA2025 // It is awaited before the call ends.
            var writing = WriteAsync(session, responseStream, stop.Token);
#pragma warning restore CA2025
            try
            {
                while (await requestStream.MoveNext(stop.Token))
                {
                    var frame = requestStream.Current;
                    if (frame.Heartbeat is { } heartbeat)
                    {
                        session.Heartbeats.Enqueue(heartbeat);
                        session.Send(new HubFrame { HeartbeatEcho = new HeartbeatEcho { SentUnixMs = heartbeat.SentUnixMs } });
                    }
                    else
                    {
                        session.Incoming.Writer.TryWrite(frame);
                    }
                }
            }
            catch (Exception exception) when (exception is OperationCanceledException or IOException)
            {
                // The stream was cut, by the test or by the agent.
            }
            finally
            {
                await stop.CancelAsync();
                await writing;
            }
        }

        private static async Task WriteAsync(TestSession session, IServerStreamWriter<HubFrame> stream, CancellationToken cancellationToken)
        {
            try
            {
                await foreach (var frame in session.Outgoing.Reader.ReadAllAsync(cancellationToken))
                {
                    await stream.WriteAsync(frame, cancellationToken);
                }
            }
            catch (Exception exception) when (exception is OperationCanceledException or InvalidOperationException or IOException)
            {
                // The stream was cut.
            }
        }
    }
}

/// <summary>One stream as the hub sees it.</summary>
internal sealed class TestSession(Hello hello, long epoch) : IDisposable
{
    private readonly CancellationTokenSource _cut = new();

    public Hello Hello { get; } = hello;

    public long Epoch { get; } = epoch;

    public CancellationToken Cut => _cut.Token;

    public Channel<NodeFrame> Incoming { get; } = Channel.CreateUnbounded<NodeFrame>();

    public Channel<HubFrame> Outgoing { get; } = Channel.CreateUnbounded<HubFrame>();

    public ConcurrentQueue<Heartbeat> Heartbeats { get; } = new();

    public void Send(HubFrame frame) => Outgoing.Writer.TryWrite(frame);

    public void Close() => _cut.Cancel();

    public void Dispose() => _cut.Dispose();

    /// <summary>The next frame of one kind; progress and others in between are left out.</summary>
    public async Task<NodeFrame> NextAsync(NodeFrame.FrameOneofCase kind, int seconds = 30)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(seconds));
        try
        {
            while (true)
            {
                var frame = await Incoming.Reader.ReadAsync(limit.Token);
                if (frame.FrameCase == kind)
                {
                    return frame;
                }
            }
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"Waited {seconds} s for a frame {kind}.");
            throw;
        }
    }

    public async Task<LeaseAck> OfferAsync(LeaseOffer offer)
    {
        Send(new HubFrame { Offer = offer });
        return (await NextAsync(NodeFrame.FrameOneofCase.LeaseAck)).LeaseAck;
    }

    public async Task<UnitResult> NextResultAsync(bool acknowledge = true)
    {
        var result = (await NextAsync(NodeFrame.FrameOneofCase.Result)).Result;
        if (acknowledge)
        {
            Send(new HubFrame { ResultAck = new ResultAck { AttemptId = result.AttemptId, FencingToken = result.FencingToken, Outcome = "accepted" } });
        }

        return result;
    }
}
