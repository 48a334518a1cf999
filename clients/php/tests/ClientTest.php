<?php

declare(strict_types=1);

namespace Trunkline\Tests;

use PHPUnit\Framework\TestCase;
use Trunkline\Chat;
use Trunkline\Client;
use Trunkline\Failure;

final class ClientTest extends TestCase
{
    private const TEN_WORDS = 'one two three four five six seven eight nine ten';

    private Client $client;

    protected function setUp(): void
    {
        $this->client = new Client(getenv('TRUNKLINE_URL'), getenv('TRUNKLINE_API_KEY'), 'php');
    }

    public function testAnswersInOnePiece(): void
    {
        $answer = $this->client->chat('sandbox/echo')->send('Hello out there');

        self::assertSame('Hello out there', $answer->text());
        self::assertGreaterThan(0, $answer->chargeNanos());
    }

    public function testEveryStepReachesTheGateway(): void
    {
        $answer = $this->client->chat()->model('sandbox/count')->system('count')->said('assistant', 'yes?')
            ->temperature(0.2)->maxTokens(3)->user('ada')->send('10');

        self::assertSame('3', $answer->usage()['outputTokens'] ?? null);
        self::assertSame('sandbox/count', $answer->completion['provider'] . '/' . $answer->completion['model']);
    }

    public function testStreams(): void
    {
        $pieces = iterator_to_array($this->scripted(['pace_ms' => 10])->stream(self::TEN_WORDS), false);

        self::assertSame(self::TEN_WORDS, implode('', $pieces));
        self::assertGreaterThan(1, count($pieces));
    }

    public function testLeavingTheLoopStopsTheProvider(): void
    {
        $id = '';
        foreach ($this->scripted(['endless' => true, 'pace_ms' => 20])->events('word') as $event) {
            $id = $event['started']['completionId'] ?? $id;
            if (isset($event['partDelta'])) {
                break;
            }
        }
        unset($event);
        for ($look = 0; $look < 400; $look++) {
            $kept = $this->client->call('ChatService/GetCompletion', ['completionId' => $id])['completion'];
            if (($kept['outcome'] ?? '') === 'OUTCOME_CANCELLED') {
                break;
            }
            usleep(50_000);
        }

        self::assertSame('OUTCOME_CANCELLED', $kept['outcome'] ?? '');
    }

    public function testDeadline(): void
    {
        $endless = $this->scripted(['endless' => true, 'pace_ms' => 20])->within(0.5);
        $failure = $this->failure(fn () => iterator_to_array($endless->stream('word'), false));

        self::assertSame('deadline_exceeded', $failure->status);
        self::assertSame('DEADLINE', $failure->reason);
    }

    public function testAFailureTellsItsReason(): void
    {
        $failure = $this->failure(fn () => $this->client->chat('sandbox/nothing')->send('?'));

        self::assertSame(['not_found', 'MODEL_NOT_FOUND'], [$failure->status, $failure->reason]);
        self::assertNotSame('', $failure->requestId);
    }

    public function testAFailureTellsFieldsAndProviders(): void
    {
        $wrong = $this->failure(fn () => $this->client->chat(' ')->send('?'));
        self::assertSame('input.model', $wrong->fields[0]['field']);
        $refused = $this->failure(fn () => $this->scripted(['status' => 400])->send('?'));
        self::assertSame(400, $refused->upstream[0]['httpStatus']);
    }

    public function testAStreamThatBreaksOffSaysSo(): void
    {
        $said = '';
        $failure = $this->failure(function () use (&$said): void {
            foreach ($this->scripted(['cut_after' => 3, 'pace_ms' => 5])->stream(self::TEN_WORDS) as $text) {
                $said .= $text;
            }
        });

        self::assertSame('STREAM_INTERRUPTED', $failure->reason);
        self::assertStringStartsWith('one', $said);
        self::assertGreaterThan(0, (int) $failure->partial['charge']['nanos']);
    }

    public function testNobodyThere(): void
    {
        $failure = $this->failure(fn () => (new Client('http://127.0.0.1:1', 'key'))->chat('sandbox/echo')->send('?'));

        self::assertSame(['unavailable', ''], [$failure->status, $failure->reason]);
    }

    public function testMetadata(): void
    {
        $failure = $this->failure(
            fn () => $this->client->chat('sandbox/nothing')->header('x-request-id', 'php-metadata')->send('?'),
        );

        self::assertSame('php-metadata', $failure->requestId);
    }

    public function testAJobIsWatchedToItsEnd(): void
    {
        $spec = ['chat' => $this->client->chat('sandbox/echo')->input('from a job')];
        $changes = 0;
        $job = $this->client->jobs()->wait($this->client->jobs()->submit($spec)['jobId'], function () use (&$changes): void {
            $changes++;
        });

        $said = $job['result']['completion']['candidates'][0]['message']['parts'][0]['text']['text'];
        self::assertSame('from a job', $said);
        self::assertGreaterThan(0, $changes);
    }

    public function testCredits(): void
    {
        $this->client->chat('sandbox/echo')->send('hello');
        $left = (int) $this->client->credits()['balance']['nanos'];

        self::assertGreaterThan(0, $left);
        self::assertLessThan(100_000_000_000, $left);
    }

    private function scripted(array $script): Chat
    {
        $said = json_encode(['script' => $script]);

        return $this->client->chat('sandbox/echo')->with(['providerOptionsJson' => ['sandbox' => $said]]);
    }

    private function failure(callable $call): Failure
    {
        try {
            $call();
        } catch (Failure $failure) {
            return $failure;
        }
        self::fail('it should fail');
    }
}
