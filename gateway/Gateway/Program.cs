using RenderTrust.Gateway;
using RenderTrust.Gateway.Blobs;
using RenderTrust.Gateway.Hub;

var builder = WebApplication.CreateBuilder(args);
builder.AddEdge();
builder.AddBlobs();
builder.AddHub();

var app = builder.Build();
app.MapEdge();
app.MapBlobs();
app.MapHub();
await app.RunAsync();
