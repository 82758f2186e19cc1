# Says hello.
function handle($context, $payload) {
    $name = if ($payload.name) { $payload.name } else { 'Noone' }
    Write-Host "saying hello to $name"
    return @{ myField = "Hello, $name" }
}
