using RenderTrust.Gateway;
using RenderTrust.Gateway.Blobs;
using RenderTrust.Gateway.Hub;

// Before the first expression is used: the patterns of modules come from outside, and one that backtracks for ever must not hold a thread.
AppDomain.CurrentDomain.SetData("REGEX_DEFAULT_MATCH_TIMEOUT", TimeSpan.FromMilliseconds(250));

var builder = WebApplication.CreateBuilder(args);
builder.AddEdge();
builder.AddBlobs();
builder.AddHub();

var app = builder.Build();
app.MapEdge();
app.MapBlobs();
app.MapHub();
await app.RunAsync();
