<?php

declare(strict_types=1);

namespace Grpc {
    if (!class_exists(BaseStub::class)) {
        /** Stands where the extension and its package would stand: the same bytes, over HTTP. */
        class BaseStub
        {
            public function __construct(private readonly string $hostname, array $opts)
            {
            }

            protected function _simpleRequest(string $method, $argument, array $decode, array $metadata, array $options)
            {
                $head = "content-type: application/proto\r\nauthorization: {$metadata['authorization'][0]}\r\n";
                $asked = ['method' => 'POST', 'header' => $head, 'content' => $argument->serializeToString()];
                $said = file_get_contents($this->hostname . $method, false, stream_context_create(['http' => $asked]));
                $answer = new $decode[0]();
                $answer->mergeFromString($said);

                return $answer;
            }
        }
    }
}

namespace Trunkline\Tests {
    use Google\Protobuf\Internal\Message;
    use PHPUnit\Framework\TestCase;
    use Trunkline\V1\ChatInput;
    use Trunkline\V1\ChatServiceClient;
    use Trunkline\V1\CompleteRequest;
    use Trunkline\V1\Message as Said;
    use Trunkline\V1\Part;
    use Trunkline\V1\Role;
    use Trunkline\V1\TextPart;

    /** The messages and methods of the stubs, without the extension that carries them. */
    final class StubsTest extends TestCase
    {
        public function testAStubSpeaksItsMessages(): void
        {
            if (!class_exists(Message::class) || !class_exists(ChatServiceClient::class)) {
                self::markTestSkipped('no protobuf runtime, or no stubs');
            }
            $words = new Part(['text' => new TextPart(['text' => 'Hello out there'])]);
            $said = new Said(['role' => Role::ROLE_USER, 'parts' => [$words]]);
            $asked = new CompleteRequest(['input' => new ChatInput(['model' => 'sandbox/echo', 'messages' => [$said]])]);

            $stub = new ChatServiceClient(getenv('TRUNKLINE_URL'), []);
            $answer = $stub->Complete($asked, ['authorization' => ['Bearer ' . getenv('TRUNKLINE_API_KEY')]]);

            $completion = $answer->getCompletion();
            self::assertSame('Hello out there', $completion->getCandidates()[0]->getMessage()->getParts()[0]->getText()->getText());
            self::assertGreaterThan(0, $completion->getCharge()->getNanos());
        }
    }
}
