using RenderTrust.Gateway;

var builder = WebApplication.CreateBuilder(args);
builder.AddEdge();

var app = builder.Build();
app.MapEdge();
await app.RunAsync();
